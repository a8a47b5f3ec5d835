"""Files that are whole or absent, logs that stay small, disk faults in plain words. Does not know what it writes."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.accounts import Account
from configs.errors import ConfigurationError

LOG_BYTES = 16 * 2**20
_TAIL_BYTES = 4096

_MEANINGS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the file system is read-only; choose another --data-dir",
    errno.EACCES: "this user may not use it; change its owner or choose another --data-dir",
    errno.EPERM: "this user may not use it; change its owner or choose another --data-dir",
    errno.ENOTDIR: "a part of that path is no folder; choose another --data-dir",
    errno.EEXIST: "something else stands there; choose another --data-dir",
    errno.ELOOP: "it is a symbolic link, which is not followed here; choose another --data-dir",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter --data-dir",
}


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Raise what the operating system refuses inside as a ConfigurationError that names the path and the way out."""
    try:
        yield
    except OSError as exc:
        place = exc.filename if isinstance(exc.filename, str) else path
        meaning = _MEANINGS.get(exc.errno or 0, exc.strerror or "the operating system refused it")
        msg = f"cannot use {str(place)!r}: {meaning}"
        raise ConfigurationError(msg) from exc


def write_whole(path: Path, text: str, *, mode: int = 0o600, owner: Account | None = None) -> None:
    """Replace a file so that a crash at any moment leaves the old text or the new one.

    Raises:
        OSError: the disk is full, read-only or closed to this user (see `disk_faults`).
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_new(draft, text, mode=mode, owner=owner)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_new(path: Path, text: str, *, mode: int = 0o600, owner: Account | None = None) -> None:
    """Write and flush a file that must not exist yet.

    Raises:
        OSError: it exists, or the disk is full, read-only or closed to this user.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        if owner is not None:
            os.fchown(fd, owner.uid, owner.gid)
        os.fchmod(fd, mode)
        os.fsync(fd)


def replace(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace a file by bytes, piece by piece, so that a crash at any moment leaves the old content or the new one.

    Raises:
        OSError: the disk is full, read-only or closed to this user (see `disk_faults`).
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(fd)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names inside a folder survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_log(path: Path) -> int:
    """Open a log for appending, mode 0600, after turning it over when it has grown large. The caller closes it."""
    rotate(path)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    os.fchmod(fd, 0o600)
    return fd


def rotate(path: Path, max_bytes: int = LOG_BYTES) -> bool:
    """Move a log above `max_bytes` to `<name>.1` and empty it in place; true when it was.

    Writers keep their descriptor, as all append; lines written between the copy and the cut are lost. On a full disk
    the copy is given up and the log is emptied all the same.
    """
    if not path.is_file() or path.stat().st_size <= max_bytes:
        return False
    older = path.with_name(f"{path.name}.1")
    try:
        older.unlink(missing_ok=True)
        older.touch(mode=0o600)
        shutil.copyfile(path, older)
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        older.unlink(missing_ok=True)
    os.truncate(path, 0)
    return True


def tail(path: Path, max_bytes: int = _TAIL_BYTES) -> str:
    """The end of a log, at most `max_bytes` long; empty when there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - max_bytes))
        return file.read(max_bytes).decode("utf-8", "replace").strip()
