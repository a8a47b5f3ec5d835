"""Asks the process that hashes passwords, and starts it when it is needed."""

import asyncio
import logging
import os
import socket
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from configs.errors import Overloaded, Unavailable
from configs.processes import Child, Command

log = logging.getLogger(__name__)

MAX_WAITING = 32
ANSWER_TIMEOUT_S = 20.0
IDLE_S = 300.0
TRIES = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password fits; `new_hash` replaces a stored one that is weaker than today's."""

    ok: bool
    new_hash: str | None


class Hasher:
    """One process for this one; its questions wait in turn."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._child: Child | None = None
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def hash(self, password: str) -> str:
        """The Argon2id hash of a password.

        Raises:
            Overloaded: too many wait.
            Unavailable: the process does not answer.
        """
        (made,) = await self._ask(["hash", prepared(password)])
        return str(made)

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Whether it is the password of `stored` (Argon2id or bcrypt); without one the work is the same.

        Errors as `hash`.
        """
        ok, new_hash = await self._ask(["verify", prepared(password), stored])
        return Verdict(bool(ok), new_hash)

    def close(self) -> None:
        """End the process."""
        if self._idle is not None:
            self._idle.cancel()
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None
        if self._child is not None:
            self._child.terminate(0)
            self._child = None

    async def _ask(self, question: list[Any]) -> list[Any]:
        if self._waiting >= MAX_WAITING:
            raise Overloaded("Too many sign-ins at once; try again in a few seconds.", retry_after_s=5.0)
        self._waiting += 1
        try:
            async with self._turn:
                return await self._answered(orjson.dumps(question))
        finally:
            self._waiting -= 1
            self._end_when_idle()

    async def _answered(self, body: bytes) -> list[Any]:
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    return await self._exchange(body)
            except (OSError, EOFError, TimeoutError) as error:
                log.warning("the process that hashes passwords ended (%s)", type(error).__name__)
                self.close()
            except BaseException:  # cancelled: the answer that is still to come belongs to no later question
                self.close()
                raise
        raise Unavailable("Passwords cannot be checked at the moment.", retry_after_s=2.0)

    async def _exchange(self, body: bytes) -> list[Any]:
        if self._stream is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._child = _command(theirs.fileno()).spawn([theirs.fileno()])
            self._stream = await asyncio.open_connection(sock=ours)
        reader, writer = self._stream
        writer.write(len(body).to_bytes(4, "big") + body)
        length = int.from_bytes(await reader.readexactly(4), "big")
        found: list[Any] = orjson.loads(await reader.readexactly(length))
        return found

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._end_idle)

    def _end_idle(self) -> None:
        if not self._turn.locked():
            self.close()


def prepared(password: str) -> str:
    """The same text from every keyboard: Unicode's NFC, as RFC 8265 (OpaqueString) has it."""
    return unicodedata.normalize("NFC", password)


def _command(descriptor: int) -> Command:
    here = Path.cwd()
    argv = (sys.executable, "-m", "api.identity.hash_worker", str(descriptor))
    return Command("passwords", argv, here, dict(os.environ), here / "passwords.log")
