"""Questions from a process to its child and back: each a length (4 bytes, big-endian) and JSON, on one socket.

Here is the child's side, which loads as little as it can; `configs.respondent` is the other one.
"""

import socket
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

HEAD_BYTES = 4


class Line:
    """The child's end of the socket; `descriptor` is its number, which stands on the command line."""

    def __init__(self, descriptor: int) -> None:
        with socket.socket(fileno=descriptor) as end:
            self._stream: BinaryIO = end.makefile("rwb")  # type: ignore[assignment]  # what "rwb" gives

    def questions(self) -> Iterator[Any]:
        """Each question, until the other side closes or ends. Answer one before taking the next."""
        while len(head := self._stream.read(HEAD_BYTES)) == HEAD_BYTES:
            yield orjson.loads(self._stream.read(int.from_bytes(head, "big")))

    def answer(self, value: object) -> None:
        """Anything that JSON can say."""
        self._stream.write(framed(value))
        self._stream.flush()


def framed(value: object) -> bytes:
    """One frame."""
    body = orjson.dumps(value)
    return len(body).to_bytes(HEAD_BYTES, "big") + body
