"""The change log of an index: every acknowledged change, on disk before its answer, in order.

A frame is length, CRC-32 and payload: the change's number, its kind, its ids and, of an addition, its vectors. A tail
that was cut by a crash was never acknowledged and is dropped.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

import numpy as np

from configs.files import sync_folder
from retrieval.index.protocol import Ids, Vectors

PREFIX = "changes-"
FRAME = struct.Struct("<II")
HEAD = struct.Struct("<QBI")


class Kind(IntEnum):
    """What a change does."""

    ADD = 1
    DELETE = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `vectors` is None of a deletion."""

    seq: int
    ids: Ids
    vectors: Vectors | None


class ChangeLog:
    """A file that changes are appended to."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        sync_folder(path.parent)

    @classmethod
    def after(cls, folder: Path, seq: int) -> Self:
        """The log of the changes that follow a snapshot."""
        return cls(folder / f"{PREFIX}{seq:020d}")

    @property
    def size(self) -> int:
        """Bytes in this file."""
        return os.fstat(self._file.fileno()).st_size

    def append(self, change: Change) -> None:
        """Write a change; it is on disk when this returns.

        Raises:
            OSError: the disk is full; the file is as before.
        """
        payload = _pack(change)
        before = self.size
        try:
            self._write(FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
            os.fsync(self._file.fileno())
        except OSError:
            os.ftruncate(self._file.fileno(), before)
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, frame: bytes) -> None:
        left = memoryview(frame)
        while left:
            left = left[self._file.write(left) :]


def logs_in(folder: Path) -> list[Path]:
    """The logs of a folder, oldest first."""
    return sorted(folder.glob(f"{PREFIX}*"))


def first_seq(path: Path) -> int:
    """The change that a log's snapshot stands at."""
    return int(path.name.removeprefix(PREFIX))


def read(path: Path, dimensions: int) -> Iterator[Change]:
    """The whole changes of a log; a torn tail is cut off the file."""
    content = path.read_bytes()
    place = 0
    while place + FRAME.size <= len(content):
        length, checksum = FRAME.unpack_from(content, place)
        payload = content[place + FRAME.size : place + FRAME.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            break
        yield _unpack(payload, dimensions)
        place += FRAME.size + length
    if place < len(content):
        os.truncate(path, place)


def _pack(change: Change) -> bytes:
    kind = Kind.DELETE if change.vectors is None else Kind.ADD
    vectors = b"" if change.vectors is None else change.vectors.astype("<f4", copy=False).tobytes()
    return HEAD.pack(change.seq, kind, len(change.ids)) + change.ids.astype("<i8", copy=False).tobytes() + vectors


def _unpack(payload: bytes, dimensions: int) -> Change:
    seq, kind, count = HEAD.unpack_from(payload)
    ids = np.frombuffer(payload, "<i8", count, HEAD.size).astype(np.int64)
    if kind == Kind.DELETE:
        return Change(seq, ids, None)
    vectors = np.frombuffer(payload, "<f4", count * dimensions, HEAD.size + ids.nbytes)
    return Change(seq, ids, vectors.reshape(count, dimensions).astype(np.float32))
