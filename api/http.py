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
SCOPE_KEY = "manta.connection"
CYCLE_KEY = "manta.cycle"


class Connection(HttpToolsProtocol):
    """One client connection, which each of its requests' scopes names, with uvicorn's cycle for that request."""

    on_gone: Callable[[], object] | None = None

    def on_message_begin(self) -> None:
        """uvicorn: a request starts; put the connection into its scope."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[SCOPE_KEY] = self

    def on_headers_complete(self) -> None:
        """uvicorn: the head is read. With pipelining, `self.cycle` soon belongs to a later request."""
        super().on_headers_complete()
        cast("dict[str, Any]", self.scope)[CYCLE_KEY] = self.cycle

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn: the client is gone."""
        super().connection_lost(exc)
        self._tell_gone()

    def send_400_response(self, msg: str) -> None:
        """uvicorn: what arrived is no HTTP."""
        body = body_of(BadRequest("What arrived is no valid HTTP request."), "")
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()

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

    def begin(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Write the head of a 200 answer."""
        cycle = self._cycle
        lines = [STATUS_LINE[200], *(b"%b: %b\r\n" % header for header in headers)]
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
