"""The front port, held from the first second: answered here until an ingress is up, and handed to every ingress.

An ingress connects to `port.sock`, gets the listening socket (SCM_RIGHTS) and says "accepting"; from then on this side
stops accepting. All share one queue of connections, so a connection that arrives while an ingress restarts waits for
the next one and is not refused. When no ingress has been there for a while, this side answers again. Where an ingress
speaks TLS, so does this side, with the same certificate.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from api.tls import FrontTls

log = logging.getLogger(__name__)

GRACE_S = 20.0
HEAD_BYTES = 16 * 1024
HEAD_TIMEOUT_S = 5.0
ALIVE = {"status": "alive"}
GONE = (TimeoutError, ConnectionError, ssl.SSLError, asyncio.LimitOverrunError, asyncio.IncompleteReadError)
"""How a client may leave or fail before it has its answer."""
HEALTH_PATHS = {"/readyz", "/health", "/-/healthz"}


class PortKeeper:
    """Holds `listener`; `phases()` gives each part's state while no ingress answers. `tls`: None answers without."""

    def __init__(
        self, listener: socket.socket, phases: Callable[[], dict[str, Any]], tls: FrontTls | None = None
    ) -> None:
        self._listener = listener
        self._tls = tls
        self._phases = phases
        self._lines: set[asyncio.StreamWriter] = set()
        self._accepting: set[asyncio.StreamWriter] = set()
        self._drained: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.handed_over = asyncio.Event()
        self.hurried = asyncio.Event()

    async def open(self, path: Path) -> None:
        """Answer on the port, and hand it out at `path` (for this user only)."""
        await asyncio.to_thread(path.unlink, missing_ok=True)
        self._server = await asyncio.start_unix_server(self._hand_over, str(path))
        await asyncio.to_thread(path.chmod, 0o600)
        self._answer_here()

    async def drain(self, timeout_s: float) -> None:
        """Have every ingress finish what runs and accept nothing new; `hurried` ends the wait."""
        self._stop_answering()
        self._listener.close()
        for line in self._lines:
            line.write(b"drain\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._accepting - self._drained and not self.hurried.is_set():  # noqa: ASYNC110  many conditions
                    await asyncio.sleep(0.05)

    def close(self) -> None:
        """Give the port up."""
        self._stop_answering()
        self._listener.close()
        if self._server is not None:
            self._server.close()

    async def _hand_over(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line: socket.socket = writer.get_extra_info("socket")
        with _duplicate(line) as copy:
            socket.send_fds(copy, [b"port"], [self._listener.fileno()])
        self._lines.add(writer)
        try:
            while word := await reader.readline():
                self._heard(word.strip(), writer)
        except ConnectionError:
            log.info("an ingress went away")
        finally:
            self._left(writer)

    def _heard(self, word: bytes, writer: asyncio.StreamWriter) -> None:
        if word == b"accepting":
            self._accepting.add(writer)
            self._stop_answering()
            self.handed_over.set()
        elif word == b"drained":
            self._drained.add(writer)

    def _left(self, writer: asyncio.StreamWriter) -> None:
        self._lines.discard(writer)
        self._accepting.discard(writer)
        writer.close()
        if not self._accepting and self._grace is None:
            self.handed_over.clear()
            self._grace = self._loop.call_later(GRACE_S, self._answer_here)

    def _answer_here(self) -> None:
        self._grace = None
        if not self._accepting and self._listener.fileno() >= 0:
            if self._tls is not None:
                self._tls.refresh()
            self._loop.add_reader(self._listener, self._accept)

    def _stop_answering(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            task = self._loop.create_task(self._answer(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(*GONE):
            reader, writer = await self._opened(connection)
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._reply(head))
                await writer.drain()
            writer.close()

    async def _opened(self, connection: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader = asyncio.StreamReader(limit=HEAD_BYTES, loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        context, patience_s = (self._tls.context, HEAD_TIMEOUT_S) if self._tls is not None else (None, None)
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: protocol, connection, ssl=context, ssl_handshake_timeout=patience_s
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    def _reply(self, head: bytes) -> bytes:
        parts = head.split(b" ", 2)
        path = parts[1].partition(b"?")[0].decode("latin-1") if len(parts) > 1 else ""
        if path == "/livez":
            return _response(200, "OK", ALIVE)
        if path in HEALTH_PATHS:
            return _response(503, "Service Unavailable", {"status": "starting", "parts": self._phases()})
        error = {"message": "Manta is starting: /readyz tells how far.", "type": "service_unavailable_error"}
        return _response(503, "Service Unavailable", {"error": {**error, "param": None, "code": "starting"}})


def _response(status: int, phrase: str, body: dict[str, Any]) -> bytes:
    content = orjson.dumps(body)
    head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n"
    return f"{head}retry-after: 2\r\nconnection: close\r\n\r\n".encode() + content


def _duplicate(line: socket.socket) -> socket.socket:
    """asyncio's sockets refuse ancillary data; a duplicate of the descriptor does not."""
    return socket.socket(fileno=os.dup(line.fileno()))
