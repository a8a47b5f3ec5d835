"""Asks the checker before a grammar is admitted, starts it when needed, and remembers what it said."""

import asyncio
import hashlib
import logging
import os
import re
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import orjson

from configs.errors import BadRequest, Unavailable
from configs.processes import Child, Command

log = logging.getLogger(__name__)

MAX_CHARACTERS = 256 * 1024
REMOTE = re.compile(r'"\$ref"\s*:\s*"(?!#)')
"""A `$ref` elsewhere; xgrammar would take it for "anything"."""

REMEMBERED = 1024
ANSWER_TIMEOUT_S = 20.0
START_TIMEOUT_S = 60.0
IDLE_S = 300.0


class GrammarGuard:
    """One checker process for one tokenizer; `tokenizer_info` gives xgrammar's JSON about it."""

    def __init__(self, tokenizer_info: Callable[[], str]) -> None:
        self._tokenizer_info = tokenizer_info
        self._told: bytes | None = None
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()
        self._turn = asyncio.Lock()
        self._child: Child | None = None
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def check(self, kind: str, text: str) -> None:
        """Return when the text compiles; `kind` is json, regex, grammar or structural_tag.

        Raises:
            BadRequest: it does not, or takes more time or memory than allowed.
            Unavailable: the checker could not be started.
        """
        if len(text) > MAX_CHARACTERS:
            raise BadRequest(f"The {_name(kind)} is longer than {MAX_CHARACTERS} characters.", param=_param(kind))
        if kind == "json" and REMOTE.search(text):
            raise BadRequest("'$ref' must point into the schema itself: nothing is fetched.", param=_param(kind))
        digest = hashlib.sha256(f"{kind}\0{text}".encode()).digest()
        if digest not in self._verdicts:
            async with self._turn:
                if digest not in self._verdicts:
                    self._remember(digest, await self._ask(kind, text))
        if not self._verdicts[digest]:
            raise BadRequest(f"The {_name(kind)} cannot be compiled, or is too complex.", param=_param(kind))

    def close(self) -> None:
        """End the checker."""
        if self._idle is not None:
            self._idle.cancel()
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None
        if self._child is not None:
            self._child.terminate(0)
            self._child = None

    def _remember(self, digest: bytes, verdict: bool) -> None:
        self._verdicts[digest] = verdict
        if len(self._verdicts) > REMEMBERED:
            self._verdicts.popitem(last=False)

    async def _ask(self, kind: str, text: str) -> bool:
        if self._stream is None:
            await self._start()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._exchange(orjson.dumps([kind, text]))
        except (OSError, EOFError, TimeoutError) as error:
            log.warning("a %s of %d characters ended the checker (%s)", kind, len(text), type(error).__name__)
            self.close()
            return False
        except BaseException:  # cancelled: the answer that is still to come belongs to no later question
            self.close()
            raise
        finally:
            self._end_when_idle()

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = _command(theirs.fileno()).spawn([theirs.fileno()])
        self._stream = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                if self._told is None:  # the whole vocabulary: seconds for a large one
                    self._told = (await asyncio.to_thread(self._tokenizer_info)).encode()
                await self._exchange(self._told)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise Unavailable("The process that checks grammars could not be started.") from error
        except BaseException:
            self.close()
            raise

    async def _exchange(self, body: bytes) -> bool:
        assert self._stream is not None
        reader, writer = self._stream
        writer.write(len(body).to_bytes(4, "big") + body)
        length = int.from_bytes(await reader.readexactly(4), "big")
        return bool(orjson.loads(await reader.readexactly(length)))

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._end_idle)

    def _end_idle(self) -> None:
        if not self._turn.locked():
            self.close()


def _command(descriptor: int) -> Command:
    argv = (sys.executable, "-m", "models.chat.grammar.checker", str(descriptor))
    here = Path.cwd()
    return Command("grammars", argv, here, dict(os.environ), here / "grammars.log")


def _name(kind: str) -> str:
    return {"json": "JSON schema", "regex": "regular expression", "structural_tag": "structural tag"}.get(kind, kind)


def _param(kind: str) -> str:
    return "response_format" if kind == "json" else "structured_outputs"
