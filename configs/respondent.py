"""A child process that answers questions, one after another: started at the first, ended when nobody asks any more.

For work that may kill, freeze or slow down whoever does it. The child is `python -m MODULE FD`, holds its end with
`configs.frames.Line`, and ends when its socket closes, so it never outlives this process. What it works on is not
known here.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from configs.errors import Unavailable
from configs.frames import HEAD_BYTES, framed
from configs.processes import Child, Command

ANSWER_TIMEOUT_S = 20.0
START_TIMEOUT_S = 60.0
IDLE_S = 300.0


class Respondent:
    """One such process at a time. `greeting`, if given, makes the first thing it is told, in a thread."""

    def __init__(self, name: str, module: str, greeting: Callable[[], object] | None = None) -> None:
        self._name = name
        self._module = module
        self._greeting = greeting
        self._turn = asyncio.Lock()
        self._asking: asyncio.Task[Any] | None = None
        self._child: Child | None = None
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The process, if one runs."""
        return self._child.pid if self._child is not None else None

    async def ask(self, question: object) -> Any:  # noqa: ANN401  what the child answers
        """Its answer. Who stops waiting for one costs the others nothing: it comes all the same, and is dropped.

        Raises:
            Unavailable: the process could not be started.
            OSError, EOFError: it ended over this question; the next one starts another.
            TimeoutError: it took more than 20 s and was ended.
        """
        async with self._turn:
            if self._asking is not None:
                await asyncio.wait([self._asking])
            self._asking = asyncio.create_task(self._ask(framed(question)))
            self._asking.add_done_callback(_seen)
            return await asyncio.shield(self._asking)

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

    async def _ask(self, frame: bytes) -> Any:  # noqa: ANN401  see `ask`
        if self._stream is None:
            await self._start()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._exchange(frame)
        except BaseException:  # an answer that is still to come would belong to no later question
            self.close()
            raise
        self._end_later()
        return answer

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = self._command(theirs.fileno()).spawn([theirs.fileno()])
        self._stream = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                if self._greeting is not None:
                    await self._exchange(framed(await asyncio.to_thread(self._greeting)))
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise Unavailable(f"The process for {self._name} could not be started.", retry_after_s=5.0) from error
        except BaseException:
            self.close()
            raise

    async def _exchange(self, frame: bytes) -> Any:  # noqa: ANN401  see `ask`
        assert self._stream is not None
        reader, writer = self._stream
        writer.write(frame)
        length = int.from_bytes(await reader.readexactly(HEAD_BYTES), "big")
        return orjson.loads(await reader.readexactly(length))

    def _command(self, descriptor: int) -> Command:
        here, argv = Path.cwd(), (sys.executable, "-m", self._module, str(descriptor))
        return Command(self._name, argv, here, dict(os.environ), here / f"{self._name}.log")

    def _end_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self.end_idle)

    def end_idle(self) -> None:
        """End the process, unless somebody asks it something."""
        if not self._turn.locked() and (self._asking is None or self._asking.done()):
            self.close()


def _seen(asking: asyncio.Task[Any]) -> None:
    """Nobody may be waiting for the answer any more, and so for the fault in its place."""
    if not asking.cancelled():
        asking.exception()
