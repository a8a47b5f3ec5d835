"""The replica's end of a link: streams in, answers out, one write per turn of the loop.

Frames are gathered and written together once per turn, so the 64 deltas of one engine step cost one system call.
It does not know what answers a call.
"""

import asyncio
import hmac
import logging
import struct
from collections.abc import Callable
from typing import Protocol, cast

from configs.errors import Internal, MantaError
from models.wire import Call, Usage
from serving.link.frames import (
    MAX_HELLO,
    MAX_PAYLOAD,
    FrameKind,
    LinkBroken,
    Splitter,
    pack,
    pack_error,
    pack_usage,
    unpack_open,
)

log = logging.getLogger(__name__)


class Answerer(Protocol):
    """What stands behind a link."""

    async def answer(self, call: Call, reply: "StreamReply") -> None:
        """Serve one call."""
        ...

    def released(self, lease: str) -> None:
        """The slot of `lease` is free."""
        ...


class StreamReply:
    """`models.wire.Reply` over one stream of a link."""

    __slots__ = ("_callback", "_cancelled", "_link", "_open", "stream")

    def __init__(self, link: "ServerLink", stream: int) -> None:
        self._link = link
        self._callback: Callable[[], object] | None = None
        self._open = True
        self._cancelled = False
        self.stream = stream

    def head(self, content_type: str) -> None:
        """See `models.wire.Reply`."""
        if self._open:
            self._link.write(pack(FrameKind.HEAD, self.stream, content_type.encode()))

    def data(self, chunk: bytes) -> None:
        """See `models.wire.Reply`."""
        if self._open:
            self._link.write(pack(FrameKind.DATA, self.stream, chunk))

    def end(self, usage: Usage) -> None:
        """See `models.wire.Reply`."""
        self._finish(FrameKind.END, pack_usage(usage))

    def fail(self, error: Exception) -> None:
        """See `models.wire.Reply`."""
        if not isinstance(error, MantaError):
            log.error("a call ended with an unexpected error", exc_info=error)
            error = Internal("The model failed on this request.")
        self._finish(FrameKind.FAIL, pack_error(error))

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """See `models.wire.Reply`."""
        self._callback = callback
        if not self._open:
            self.cancel()

    def cancel(self) -> None:
        """The caller left: drop what is still written and tell the backend once. Its `end` still tells the usage."""
        self._open = False
        self._cancelled = True
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def _finish(self, kind: FrameKind, payload: bytes) -> None:
        if self._open or self._cancelled:
            self._open = self._cancelled = False
            self._callback = None
            self._link.write(pack(kind, self.stream, payload))
            self._link.forget(self.stream)


class ServerLink(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, answerer: Answerer, secret: bytes) -> None:
        self._answerer = answerer
        self._secret = secret
        self._splitter = Splitter(MAX_HELLO)
        self._replies: dict[int, StreamReply] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._leases: set[str] = set()
        self._pending: list[bytes] = []
        self._trusted = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the ingress connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the ingress is gone, and with it every request and lease it held here."""
        self._transport = None
        for reply in list(self._replies.values()):
            reply.cancel()
        self._replies.clear()
        for task in self._tasks:
            task.cancel()
        for lease in self._leases:
            self._answerer.released(lease)
        self._leases.clear()

    def data_received(self, data: bytes) -> None:
        """asyncio: frames arrive."""
        try:
            for kind, stream, payload in self._splitter.feed(data):
                self._receive(kind, stream, payload)
        except (LinkBroken, ValueError, TypeError, struct.error) as error:
            log.warning("link closed: %s", type(error).__name__)
            self._close()

    def write(self, frame: bytes) -> None:
        """Queue a frame for the end of this turn."""
        if not self._pending:
            self._loop.call_soon(self.flush)
        self._pending.append(frame)

    def flush(self) -> None:
        """Write what is queued."""
        if self._transport is not None:
            self._transport.write(b"".join(self._pending))
        self._pending.clear()

    def forget(self, stream: int) -> None:
        """The answer of `stream` is complete."""
        self._replies.pop(stream, None)

    def _receive(self, kind: int, stream: int, payload: bytes) -> None:
        if not self._trusted:
            self._greet(kind, payload)
        elif kind == FrameKind.OPEN:
            self._start(stream, unpack_open(payload))
        elif kind == FrameKind.CANCEL:
            if stream in self._replies:
                self._replies[stream].cancel()
        elif kind == FrameKind.RELEASE:
            lease = payload.decode()
            self._leases.discard(lease)
            self._answerer.released(lease)
        else:
            msg = f"frame kind {kind} is not one that an ingress sends"
            raise LinkBroken(msg)

    def _greet(self, kind: int, payload: bytes) -> None:
        if kind != FrameKind.HELLO or not hmac.compare_digest(payload, self._secret):
            msg = "wrong secret"
            raise LinkBroken(msg)
        self._trusted = True
        self._splitter.max_payload = MAX_PAYLOAD

    def _start(self, stream: int, call: Call) -> None:
        if call.lease:
            self._leases.add(call.lease)
        reply = StreamReply(self, stream)
        self._replies[stream] = reply
        task = self._loop.create_task(self._answer(call, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, call: Call, reply: StreamReply) -> None:
        try:
            await self._answerer.answer(call, reply)
        except asyncio.CancelledError:
            reply.end(Usage())
            raise
        except Exception as error:  # noqa: BLE001  the last stop: whatever a model raises becomes one typed failure
            reply.fail(error)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
