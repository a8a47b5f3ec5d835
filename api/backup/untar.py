"""A cluster's tar unpacked while it streams in: plain files and folders, each for its owner alone."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from configs.accounts import Account
from configs.errors import DamagedBackup

COPY_BYTES = 2**20


class Stream(io.RawIOBase):
    """An iterator of bytes as a file that can only be read forward."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; b"" at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        found, self._rest = self._rest[:size], self._rest[size:]
        return bytes(found)


def unpack(pieces: Iterator[bytes], folder: Path, account: Account | None) -> None:
    """Unpack into a new folder, whose files belong to `account` (None: the caller). Nothing is flushed.

    Raises:
        DamagedBackup: it holds links, devices, or names that lead elsewhere.
        OSError: the disk is full.
    """
    _folder(folder, account)
    with tarfile.open(fileobj=Stream(pieces), mode="r|", bufsize=COPY_BYTES) as archive:
        for member in archive:
            name = os.path.normpath(member.name)
            if name.startswith(("/", "..")) or not (member.isreg() or member.isdir()):
                raise DamagedBackup(f"the backup holds {member.name!r}, which belongs into no cluster")
            if member.isdir():
                _folder(folder / name, account)
            elif content := archive.extractfile(member):
                _file(folder / name, content, account)


def _folder(path: Path, account: Account | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(path, account.uid, account.gid)


def _file(path: Path, content: IO[bytes], account: Account | None) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb", buffering=0) as file:
        if account:
            os.fchown(fd, account.uid, account.gid)
        while piece := content.read(COPY_BYTES):
            file.write(piece)
