"""Where backups and files lie: named objects, each whole or absent. Knows nothing of what is in them.

A target is one file here (`folder` below, `api/storage/s3.py`) and a scheme in `open_target`.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from configs import files
from configs.errors import ConfigurationError, DamagedBackup

S3 = "s3://"
DRAFT = ".draft-"


class Target(Protocol):
    """Objects by name; a name is words with slashes between."""

    place: str
    """How messages call it."""

    def put(self, name: str, content: bytes) -> None:
        """Write an object so that it is there whole, and lasts, or not at all; one of that name is replaced."""

    def get(self, name: str) -> bytes:
        """An object.

        Raises:
            DamagedBackup: there is none of that name.
        """

    def names(self, prefix: str) -> Iterator[str]:
        """The names that begin with `prefix`, in order."""

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no error."""

    def tidy(self, prefix: str, before: float) -> None:
        """Remove what kills left half written below `prefix` (a folder's name, ending in a slash) before that (Unix
        seconds)."""


def open_target(text: str) -> Target:
    """The target that `--to`, `--from` or `backup.to` names: a folder, or `s3://bucket/prefix`.

    Raises:
        ConfigurationError: it is neither.
    """
    if text.startswith(S3):
        from api.storage.s3 import Bucket  # noqa: PLC0415  boto3: half a second that a folder need not pay

        return Bucket(text)
    if "://" in text or not text:
        msg = f"{text!r} is no place for backups: name a folder, or s3://BUCKET/PREFIX"
        raise ConfigurationError(msg)
    return Folder(Path(text))


class Folder:
    """Objects as files below a folder, which is made with the first of them."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().resolve()
        self.place = str(self._root)

    def put(self, name: str, content: bytes) -> None:
        """Write aside, flush, rename, flush the folder."""
        path = self._root / name
        draft = path.with_name(f"{DRAFT}{secrets.token_hex(4)}")
        with files.disk_faults(path):
            new = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                _write(draft, content)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
            for folder in (path.parent, *(each.parent for each in new)):  # a new folder is a name in the one above
                files.sync_folder(folder)

    def get(self, name: str) -> bytes:
        """The file's content."""
        try:
            with files.disk_faults(self._root / name):
                return (self._root / name).read_bytes()
        except ConfigurationError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise missing(self.place, name) from error
            raise

    def names(self, prefix: str) -> Iterator[str]:
        """From the folder's own listing; what a kill left half written has no name."""
        top = self._root / prefix.rpartition("/")[0]
        with files.disk_faults(self._root):
            found = [
                (Path(folder) / file).relative_to(self._root).as_posix()
                for folder, _, listed in os.walk(top)
                for file in listed
                if not file.startswith(DRAFT)
            ]
        return (name for name in sorted(found) if name.startswith(prefix))

    def delete(self, name: str) -> None:
        """Remove the file, and folders that are empty without it."""
        path = self._root / name
        with files.disk_faults(path):
            path.unlink(missing_ok=True)
            self._close_empty(path)

    def tidy(self, prefix: str, before: float) -> None:
        """Drafts, which `names` does not show."""
        with files.disk_faults(self._root):
            for draft in list((self._root / prefix).rglob(f"{DRAFT}*")):
                with contextlib.suppress(FileNotFoundError):  # its writer has just ended
                    if draft.lstat().st_mtime < before:
                        draft.unlink()
                        self._close_empty(draft)

    def _close_empty(self, path: Path) -> None:
        for parent in path.parents:
            if parent == self._root or not parent.is_dir() or any(parent.iterdir()):
                return
            parent.rmdir()


def missing(place: str, name: str) -> DamagedBackup:
    """An object that should be there is not."""
    return DamagedBackup(f"{place} lacks {name}: copy it back, or take another backup with --id")


def _write(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb", buffering=0) as file:
        left = memoryview(content)
        while left:
            left = left[file.write(left) :]
        os.fsync(fd)
