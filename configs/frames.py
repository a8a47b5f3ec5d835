"""Values between a process and its child: each a length (4 bytes, big-endian) and JSON, on one socket.

Here is what a child loads, which is as little as can be; `configs.respondent` asks such children from a loop.
"""

import socket
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

HEAD_BYTES = 4


class Line:
    """One end of the socket; `descriptor` is its number, which a child has on its command line."""

    def __init__(self, descriptor: int) -> None:
        with socket.socket(fileno=descriptor) as end:
            self._stream: BinaryIO = end.makefile("rwb")  # type: ignore[assignment]  # what "rwb" gives

    def received(self) -> Iterator[Any]:
        """Each value, until the other side closes or ends."""
        while len(head := self._stream.read(HEAD_BYTES)) == HEAD_BYTES:
            yield orjson.loads(self._stream.read(int.from_bytes(head, "big")))

    def send(self, value: object) -> None:
        """Anything that JSON can say."""
        self._stream.write(framed(value))
        self._stream.flush()


def framed(value: object) -> bytes:
    """One frame."""
    body = orjson.dumps(value)
    return len(body).to_bytes(HEAD_BYTES, "big") + body


def exchanged(line: socket.socket, question: bytes, data: bytes, deadline: float) -> dict[str, Any]:
    """Send a question and its file, and take the answer.

    Raises:
        OSError, EOFError: the other side ended. TimeoutError, an OSError: the time is over.
    """
    for part in (question, data):
        line.settimeout(_left(deadline))
        line.sendall(part)
    length = int.from_bytes(_received(line, HEAD_BYTES, deadline), "big")
    answer: dict[str, Any] = orjson.loads(_received(line, length, deadline))
    return answer


def _received(line: socket.socket, count: int, deadline: float) -> bytearray:
    found = bytearray(count)
    view, place = memoryview(found), 0
    while place < count:
        line.settimeout(_left(deadline))
        got = line.recv_into(view[place:])
        if not got:
            raise EOFError
        place += got
    return found


def _left(deadline: float) -> float:
    if (left_s := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left_s
