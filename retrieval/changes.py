"""A log of changes to one index: framed records, each on the disk before its change is acknowledged.

A record is magic, length, crc32 of what follows, then the change. A tail that a crash tore is dropped; a bad record
with a good one after it is damage, and never passed over in silence. It knows no index and no snapshot.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from configs.files import sync_folder
from retrieval.index.protocol import Ids, Vectors

_MAGIC = b"MCL1"
_FRAME = struct.Struct("<4sII")
_CHANGE = struct.Struct("<II")
_ID_BYTES = 8
_NUMBER_BYTES = 4


class Damaged(Exception):
    """A record in the middle is bad, so acknowledged changes are lost; the text names the place, for the log."""


@dataclass(frozen=True, slots=True)
class Change:
    """Ids with their new vectors, or ids that go."""

    ids: Ids
    vectors: Vectors | None = None

    def encode(self) -> bytes:
        """As the log holds it: how many ids and dimensions (0 when they go), ids, vectors."""
        if self.vectors is None:
            return _CHANGE.pack(len(self.ids), 0) + self.ids.tobytes()
        return _CHANGE.pack(*self.vectors.shape) + self.ids.tobytes() + self.vectors.tobytes()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """What `encode` gave."""
        count, dimensions = _CHANGE.unpack_from(body)
        ids = np.frombuffer(body, np.int64, count, _CHANGE.size)
        if not dimensions:
            return cls(ids)
        vectors = np.frombuffer(body, np.float32, count * dimensions, _CHANGE.size + _ID_BYTES * count)
        return cls(ids, vectors.reshape(count, dimensions))


class ChangeLog:
    """A log that is open for appending; one writer at a time."""

    def __init__(self, path: Path) -> None:
        """Open it behind its last byte, or make it.

        Raises:
            OSError: the disk refuses.
        """
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            sync_folder(path.parent)
            self.size = os.fstat(self._fd).st_size
        except OSError:
            os.close(self._fd)
            raise
        self.broken = False

    def append(self, change: Change) -> None:
        """Return when the change is on the disk. After an OSError it is not there, or `broken` says that nobody knows.

        Raises:
            OSError: the disk is full or refuses.
        """
        body = change.encode()
        record = _FRAME.pack(_MAGIC, len(body), zlib.crc32(body)) + body
        try:
            _write_all(self._fd, record, self.size)
            self._sync()
        except OSError:
            self.cut(self.size)
            raise
        self.size += len(record)

    def cut(self, size: int) -> None:
        """Drop what stands behind `size`."""
        try:
            os.ftruncate(self._fd, size)
            self._sync()
        except OSError:
            self.broken = True
            raise
        self.size = size

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _sync(self) -> None:
        try:
            os.fdatasync(self._fd)
        except OSError:
            self.broken = True  # the kernel may have dropped the pages: asking again proves nothing (fsync(2))
            raise


def replay(path: Path) -> Iterator[tuple[Change, int]]:
    """Each change of a log in order, and where its record ends.

    Raises:
        Damaged: a bad record has a good one after it.
        OSError: it cannot be read.
    """
    data = _content(path)
    place = 0
    while (body := _record(data, place)) is not None:
        place += _FRAME.size + len(body)
        yield Change.decode(body), place
    if _another(data, place):
        raise Damaged(f"{path.name} is damaged at byte {place}")


def _content(path: Path) -> memoryview:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _record(data: memoryview, place: int) -> bytes | None:
    """The body of the record that begins there, None when there is no whole one."""
    if len(data) - place < _FRAME.size:
        return None
    magic, length, checksum = _FRAME.unpack_from(data, place)
    start = place + _FRAME.size
    if magic != _MAGIC or not _CHANGE.size <= length <= len(data) - start:
        return None
    body = bytes(data[start : start + length])
    return body if zlib.crc32(body) == checksum and _fits(body) else None


def _fits(body: bytes) -> bool:
    count, dimensions = _CHANGE.unpack_from(body)
    return bool(len(body) == _CHANGE.size + count * (_ID_BYTES + _NUMBER_BYTES * dimensions))


def _another(data: memoryview, place: int) -> bool:
    """Whether a good record begins somewhere behind."""
    content = bytes(data[place:])
    found = content.find(_MAGIC, 1)
    while found >= 0:
        if _record(data, place + found) is not None:
            return True
        found = content.find(_MAGIC, found + 1)
    return False


def _write_all(fd: int, data: bytes, place: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, place)
        rest, place = rest[written:], place + written
