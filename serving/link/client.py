"""The ingress's end of a link: calls out, answers pushed into sinks.

Answers are pushed, not awaited: a chunk costs one dictionary look-up and one write to the client's socket, and no task
wakes up for it. It does not know what a sink does with the bytes.
"""

import asyncio
import itertools
import logging
import ssl
from dataclasses import dataclass
from typing import Protocol, Self, cast

from configs.errors import EngineDied, MantaError
from models.wire import Call, Usage
from serving.link.frames import FrameKind, LinkBroken, Splitter, pack, pack_open, unpack_error, unpack_usage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a replica listens; `tls` on every machine but the ingress's own."""

    host: str
    port: int
    tls: bool = False


class Sink(Protocol):
    """Takes one answer; see `models.wire.Reply` for the order of the calls. No method may block or raise."""

    def on_head(self, content_type: str) -> None:
        """The replica accepted the request."""
        ...

    def on_data(self, chunk: bytes) -> None:
        """A part of the answer."""
        ...

    def on_end(self, usage: Usage) -> None:
        """The answer is complete."""
        ...

    def on_fail(self, error: MantaError) -> None:
        """The answer ends here; `EngineDied` when the replica is gone."""
        ...


class Link(asyncio.Protocol):
    """One connection to one replica, shared by all requests of this process."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._splitter = Splitter()
        self._sinks: dict[int, Sink] = {}
        self._ids = itertools.count(1)
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(cls, address: Address, secret: bytes, tls: ssl.SSLContext | None, timeout_s: float = 5.0) -> Self:
        """Open a link.

        Raises:
            OSError, TimeoutError: nobody answers there.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s):
            _, link = await loop.create_connection(
                lambda: cls(secret),
                address.host,
                address.port,
                ssl=tls if address.tls else None,
                server_hostname="manta" if address.tls else None,
            )
        return link

    @property
    def alive(self) -> bool:
        """Whether the connection stands."""
        return self._transport is not None and not self._transport.is_closing()

    def open(self, call: Call, sink: Sink) -> int:
        """Start a stream and return its number; on a dead link the sink fails at once."""
        stream = next(self._ids) & 0xFFFFFFFF
        if not self.alive:
            sink.on_fail(EngineDied("The model's replica is gone."))
            return stream
        self._sinks[stream] = sink
        self._write(pack_open(stream, call))
        return stream

    def cancel(self, stream: int) -> None:
        """Stop a stream whose client left. Its sink still gets `on_end` with what was used until then, no data."""
        if stream in self._sinks:
            self._write(pack(FrameKind.CANCEL, stream))

    def release(self, lease: str) -> None:
        """Give a slot back."""
        self._write(pack(FrameKind.RELEASE, 0, lease.encode()))

    def close(self) -> None:
        """Close; running streams fail."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of asyncio's
        self._write(pack(FrameKind.HELLO, 0, self._secret))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the replica is gone."""
        self._transport = None
        sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            sink.on_fail(EngineDied("The model's replica ended while it worked on this request."))

    def data_received(self, data: bytes) -> None:
        """asyncio: frames arrive; the hottest loop of the ingress."""
        sinks = self._sinks
        try:
            for kind, stream, payload in self._splitter.feed(data):
                sink = sinks.get(stream)
                if sink is None:
                    continue
                if kind == FrameKind.DATA:
                    sink.on_data(payload)
                else:
                    self._control(kind, stream, payload, sink)
        except LinkBroken as error:
            log.warning("link closed: %s", error)
            if self._transport is not None:
                self._transport.abort()

    def _control(self, kind: int, stream: int, payload: bytes, sink: Sink) -> None:
        if kind == FrameKind.HEAD:
            sink.on_head(payload.decode())
            return
        if kind == FrameKind.END:
            self._sinks.pop(stream, None)
            sink.on_end(unpack_usage(payload))
        elif kind == FrameKind.FAIL:
            self._sinks.pop(stream, None)
            sink.on_fail(unpack_error(payload))
        else:
            msg = f"frame kind {kind} is not one that a replica sends"
            raise LinkBroken(msg)

    def _write(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)
