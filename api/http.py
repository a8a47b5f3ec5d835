"""uvicorn's HTTP connection, with the two things Manta needs from it.

It refuses broken HTTP in OpenAI's error shape, and it lets an answer's bytes go straight to the socket: a streamed
chunk passes no coroutine. This is the only file that knows uvicorn's connection from within; it is tied to the pinned
version and tested on it (tests/api/test_http.py).
"""

import asyncio
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.errors import body_of
from configs.errors import BadRequest

SLOW_READER_BYTES = 8 * 2**20
"""What may wait in the send buffer of one stream before its client counts as gone."""
MAX_HEAD_BYTES = 64 * 1024
"""How long a request's head may be."""
HEAD_TIMEOUT_S = 20.0
"""How long a head may take to arrive, from the connection or from its first byte."""
SCOPE_KEY = "manta.connection"
CYCLE_KEY = "manta.cycle"


class Connection(HttpToolsProtocol):
    """One client connection, which each of its requests' scopes names, with uvicorn's cycle for that request."""

    on_gone: Callable[[], object] | None = None
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """uvicorn: a client is here, and must speak."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """uvicorn: bytes arrive. Its parser gathers a head without end."""
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(431, BadRequest(f"The head of the request is longer than {MAX_HEAD_BYTES} bytes."))

    def on_message_begin(self) -> None:
        """uvicorn: a request starts; put the connection into its scope."""
        super().on_message_begin()
        self._expect_head()
        cast("dict[str, Any]", self.scope)[SCOPE_KEY] = self

    def on_headers_complete(self) -> None:
        """uvicorn: the head is read. With pipelining, `self.cycle` soon belongs to a later request."""
        super().on_headers_complete()
        self._end_head()
        cast("dict[str, Any]", self.scope)[CYCLE_KEY] = self.cycle

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn: the client is gone."""
        super().connection_lost(exc)
        self._end_head()
        self._tell_gone()

    def send_400_response(self, msg: str) -> None:
        """uvicorn: what arrived is no HTTP."""
        self._refuse(400, BadRequest("What arrived is no valid HTTP request."))

    def _refuse(self, status: int, error: BadRequest) -> None:
        body = body_of(error, "")
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer, self._head_bytes = None, 0

    def _tell_gone(self) -> None:
        gone, self.on_gone = self.on_gone, None
        if gone is not None:
            gone()


class DirectStream:
    """The body of one streamed answer, written past ASGI. Made on a connection whose request is being answered."""

    __slots__ = ("_chunked", "_connection", "_cycle", "_transport", "_write")

    def __init__(self, scope: MutableMapping[str, Any]) -> None:
        self._connection: Connection = scope[SCOPE_KEY]
        self._cycle: RequestResponseCycle = scope[CYCLE_KEY]
        self._transport: asyncio.Transport = self._connection.transport
        self._write = self._transport.write
        self._chunked = scope["http_version"] == "1.1"

    def begin(self, headers: Iterable[tuple[bytes, bytes]], block: bytes = b"") -> None:
        """Write the head of a 200 answer; `block` are more of its lines, written before."""
        cycle = self._cycle
        lines = [STATUS_LINE[200], block, *(b"%b: %b\r\n" % header for header in headers)]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"transfer-encoding: chunked\r\n\r\n" if self._chunked else b"\r\n")
        cycle.response_started = True
        cycle.chunked_encoding = self._chunked
        self._write(b"".join(lines))

    def write(self, chunk: bytes) -> None:
        """Write a part of the body; a client that lets too much pile up is cut off."""
        if self._transport.is_closing():
            return
        self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk)
        if self._transport.get_write_buffer_size() > SLOW_READER_BYTES:
            self._transport.abort()

    def watch(self, on_gone: Callable[[], object] | None) -> None:
        """Call `on_gone` when the client leaves; None stops watching."""
        self._connection.on_gone = on_gone
        if on_gone is not None and self._cycle.disconnected:
            self._connection._tell_gone()  # noqa: SLF001  its own other half
