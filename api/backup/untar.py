"""A cluster's tar unpacked while it streams in: plain files and folders, each for its owner alone.

PostgreSQL writes plain ustar headers and refuses names that do not fit them, so nothing else is read here. Content goes
from the stream to the disk without a copy.
"""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from api.backup.sealed import Bytes
from configs.accounts import Account
from configs.errors import DamagedBackup

BLOCK_BYTES = tarfile.BLOCKSIZE
END = bytes(BLOCK_BYTES)


class Stream:
    """An iterator of bytes, taken apart from the front."""

    def __init__(self, pieces: Iterator[Bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def take(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes.

        Raises:
            DamagedBackup: there are no more.
        """
        while size:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    raise DamagedBackup("the backup of the cluster ends too early: take another backup with --id")
                self._rest = memoryview(piece)
            found, self._rest = self._rest[:size], self._rest[size:]
            size -= len(found)
            if found:
                yield found

    def block(self, size: int) -> bytes:
        """The next `size` bytes at once."""
        return b"".join(self.take(size))

    def drain(self) -> None:
        """Read to the end, so that whoever proves the stream has seen all of it."""
        for _ in self._pieces:
            pass


def unpack(pieces: Iterator[Bytes], folder: Path, account: Account | None) -> None:
    """Unpack into a new folder, whose files belong to `account` (None: the caller). Nothing is flushed.

    Raises:
        DamagedBackup: it is no tar, or holds links, devices, or names that lead elsewhere.
        OSError: the disk is full.
    """
    _folder(folder, account)
    stream = Stream(pieces)
    while (header := stream.block(BLOCK_BYTES)) != END:
        member = _member(header)
        name = os.path.normpath(member.name)
        if name.startswith(("/", "..")) or not (member.isreg() or member.isdir()):
            raise DamagedBackup(f"the backup holds {member.name!r}, which belongs into no cluster")
        if member.isdir():
            _folder(folder / name, account)
        else:
            _file(folder / name, stream.take(member.size), account)
            stream.block(-member.size % BLOCK_BYTES)
    stream.drain()


def _member(header: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise DamagedBackup("the backup of the cluster is no tar: take another backup with --id") from error


def _folder(path: Path, account: Account | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(path, account.uid, account.gid)


def _file(path: Path, content: Iterator[memoryview], account: Account | None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb", buffering=0) as file:
        if account:
            os.fchown(fd, account.uid, account.gid)
        for piece in content:
            left = piece
            while left:
                left = left[file.write(left) :]
