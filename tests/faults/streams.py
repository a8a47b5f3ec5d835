"""Streams to cut: raw HTTP, so that a test sees every byte and closes when it wants."""

import json
import socket
import threading
from typing import Any, Self

from tests.fixtures.stack import Stack

LONG = 2000


class RawStream:
    """One streamed chat on a socket of its own."""

    def __init__(self, stack: Stack, tokens: int = LONG, key: str | None = None, **extra: Any) -> None:
        body = json.dumps(
            {
                "model": "starter",
                "messages": [{"role": "user", "content": "hello"}],
                "stream": True,
                "max_tokens": tokens,
                "ignore_eos": True,
                **extra,
            }
        ).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key or stack.key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._socket = socket.create_connection(("127.0.0.1", stack.port), timeout=60)
        self._socket.sendall(head.encode() + body)
        self.received = b""

    def read_until(self, mark: bytes) -> Self:
        """Read until `mark` was seen; a connection that closes first is an error."""
        while mark not in self.received:
            chunk = self._socket.recv(65536)
            assert chunk, f"closed before {mark!r}: ...{self.received[-300:]!r}"
            self.received += chunk
        return self

    def read_to_close(self) -> bytes:
        """Everything until the other side ends the answer or the connection."""
        while not self.received.endswith(b"0\r\n\r\n"):
            try:
                chunk = self._socket.recv(65536)
            except ConnectionError:
                break
            if not chunk:
                break
            self.received += chunk
        self.close()
        return self.received

    def close(self) -> None:
        """Vanish."""
        self._socket.close()


def in_background(function: Any) -> tuple[threading.Thread, list[Any]]:
    """Run something beside the test; its result or exception lands in the list."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001  the test looks at it
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, results
