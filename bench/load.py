"""Streaming clients for servers that speak OpenAI's HTTP: closed loop (so many at once), open loop (by the clock).

A raw `asyncio.Protocol` on uvloop, one connection per client, kept alive. It does not know what answers.
"""

import asyncio
import itertools
import os
import ssl
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import orjson
import uvloop

from bench.sse import Answer

TIMEOUT_S = 600.0
CHAT = "/chat/completions"

T = TypeVar("T")

_numbers = itertools.count(time.time_ns() // 1000 % 10**9)


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask, as whom, and for which model."""

    url: str
    model: str
    key: str = field(default="", repr=False)

    def request(self, body: dict[str, Any], path: str = CHAT) -> bytes:
        """The bytes of one POST."""
        parts = urlsplit(self.url)
        content = orjson.dumps({"model": self.model} | body)
        head = f"POST {parts.path.rstrip('/')}{path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        head += "Content-Type: application/json\r\n"
        head += f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        return head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(content), content)

    async def connect(self) -> "Connection":
        """Open a connection.

        Raises:
            OSError: nobody answers there.
        """
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            Connection,
            parts.hostname or "localhost",
            parts.port or (443 if secure else 80),
            ssl=ssl.create_default_context() if secure else None,
        )
        return connection


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: seconds from its (planned) start, gaps between reads that held events, and what went wrong."""

    ttft_s: float | None
    whole_s: float
    gaps_s: tuple[float, ...]
    events: int
    tokens: int
    error: str


class Connection(asyncio.Protocol):
    """One client's connection; one request at a time."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._over: asyncio.Future[None] | None = None
        self.transport: asyncio.Transport | None = None
        self.on_event: Callable[[], object] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of asyncio's

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of the answer."""
        answer, over = self._answer, self._over
        if answer is None or over is None:
            return
        if answer.feed(data, time.perf_counter()) and not over.done():
            over.set_result(None)
        if self.on_event is not None:
            self.on_event()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the server, or we, closed it."""
        self.transport = None
        if self._over is not None and not self._over.done():
            self._over.set_exception(ConnectionResetError("the connection ended before the answer"))

    async def ask(self, request: bytes, timeout_s: float = TIMEOUT_S) -> Answer:
        """Send one request and wait for its whole answer.

        Raises:
            ConnectionResetError, TimeoutError: it was cut, or took too long.
        """
        if self.transport is None:
            raise ConnectionResetError("closed while idle")
        self._answer = Answer()
        self._over = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            async with asyncio.timeout(timeout_s):
                await self._over
            return self._answer
        finally:
            self._answer = self._over = None

    @property
    def events(self) -> int:
        """Events of the answer that is arriving."""
        return self._answer.events if self._answer is not None else 0

    def close(self) -> None:
        """Close it, whatever arrives."""
        if self.transport is not None:
            self.transport.abort()


class Client:
    """Asks again and again on one connection, and opens another when it broke."""

    def __init__(self, server: Server, tokens: int | None, timeout_s: float = TIMEOUT_S) -> None:
        self._server = server
        self._tokens = tokens
        self._timeout_s = timeout_s
        self._connection: Connection | None = None

    async def ask(self, request: bytes, start: float | None = None) -> Outcome:
        """One request; `start` is when it was planned (perf_counter), so that lateness counts."""
        start = time.perf_counter() if start is None else start
        try:
            if self._connection is None or self._connection.transport is None:
                self._connection = await self._server.connect()
            answer = await self._connection.ask(request, self._timeout_s)
        except (OSError, TimeoutError) as error:
            self.close()
            return Outcome(None, time.perf_counter() - start, (), 0, 0, _kind(error))
        return _outcome(answer, start, self._tokens)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def chat_body(tokens: int, more: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """A chat that streams exactly `tokens` tokens, with a prompt that no other one repeats."""
    number = next(_numbers)
    words = f"[{number}] Tell me a long story about number {number * 7919 % 10007} and the sea."
    return {
        "messages": [{"role": "user", "content": words}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
    } | dict(more)


async def closed_loop(
    server: Server, requests: Iterable[bytes], clients: int, tokens: int | None, timeout_s: float = TIMEOUT_S
) -> list[Outcome]:
    """`clients` at once, each sending the next request when its last one is answered."""
    waiting, outcomes = iter(requests), list[Outcome]()

    async def one() -> None:
        client = Client(server, tokens, timeout_s)
        for request in waiting:
            outcomes.append(await client.ask(request))
        client.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return outcomes


async def open_loop(
    server: Server, plan: Sequence[tuple[float, bytes]], tokens: int | None, timeout_s: float = TIMEOUT_S
) -> list[Outcome]:
    """Send each request at its second, whether or not earlier ones are answered."""
    begin, idle = time.perf_counter(), list[Client]()

    async def one(at_s: float, request: bytes) -> Outcome:
        await asyncio.sleep(begin + at_s - time.perf_counter())
        client = idle.pop() if idle else Client(server, tokens, timeout_s)
        outcome = await client.ask(request, begin + at_s)
        idle.append(client)
        return outcome

    outcomes = await asyncio.gather(*(one(*item) for item in plan))
    for client in idle:
        client.close()
    return list(outcomes)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop, ahead of everything else where this process may ask for that."""
    with at_once():
        result: T = uvloop.run(work)
    return result


@contextmanager
def at_once() -> Iterator[bool]:
    """Real-time priority for the client, so that what it sees is the server and not its own wait for a core.

    vLLM's engine core and worker poll with `sched_yield`; on two cores that kept a client of normal priority from
    running for whole answers (150 ms), which then looked like one burst. Yields whether it was granted (root only).
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, policy, parameters)


def _outcome(answer: Answer, start: float, tokens: int | None) -> Outcome:
    times = answer.events_at
    return Outcome(
        ttft_s=None if answer.content_at is None else answer.content_at - start,
        whole_s=time.perf_counter() - start,
        gaps_s=tuple(later - earlier for earlier, later in itertools.pairwise(times)),
        events=answer.events,
        tokens=answer.completion_tokens() or 0,
        error=answer.fault(tokens),
    )


def _kind(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    return "refused" if isinstance(error, ConnectionRefusedError) else "cut"
