"""Random secrets, each in a 0600 file, made once. Does not know what they open."""

import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from configs import accounts, files
from configs.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_MAX_BYTES = 64 * 1024
MAX_GIVEN_BYTES = 4096


def read_or_make(folder: Path, name: str, nbytes: int) -> str:
    """The secret of that name: `nbytes` random bytes as URL-safe text, the same on every call.

    Raises:
        ConfigurationError: the folder or file is open to others or belongs to somebody else, or cannot be written.
    """
    if not _NAME.fullmatch(name):
        msg = f"{name!r} is no name for a secret"
        raise ValueError(msg)
    path = folder / name
    with files.disk_faults(path):
        refuse_open_folder(folder)
        if not path.is_symlink() and not path.exists():
            write_once(path, secrets.token_urlsafe(nbytes))
        return read(path)


def read_given(path: Path) -> str:
    """A secret that an operator, or a cluster's secret store, put into a file; white space around it is left out.

    Its mode is not ours to judge: secret stores mount links to files that all can read in the container.

    Raises:
        ConfigurationError: it cannot be read, or holds no secret.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_GIVEN_BYTES + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the secret file {str(path)!r} cannot be read as text: look at its path, its owner and its content"
        raise ConfigurationError(msg) from error
    if not text or len(text) > MAX_GIVEN_BYTES or not text.isprintable():
        msg = (
            f"the secret file {str(path)!r} must hold one secret of 1 to {MAX_GIVEN_BYTES} characters and nothing else"
        )
        raise ConfigurationError(msg)
    return text


def refuse_open_folder(folder: Path) -> None:
    """Insist that a folder of secrets is closed: whoever could look in may have done so.

    Raises:
        ConfigurationError: it is open to others, or belongs to somebody else.
    """
    _refuse_loose(folder.lstat(), folder, stat.S_ISDIR)


def write_once(path: Path, text: str) -> None:
    """Write aside and link into place: of two makers one wins, and no reader sees half a secret.

    Raises:
        OSError: the disk is full, read-only or closed to this user (see `files.disk_faults`).
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        files.write_new(draft, text)
        os.link(draft, path)
    except FileExistsError:
        return  # another process was quicker, its secret counts
    finally:
        draft.unlink(missing_ok=True)
    files.sync_folder(path.parent)


def read(path: Path) -> str:
    """The secret in a file.

    Raises:
        ConfigurationError: it is open to others, belongs to somebody else, or is empty, no file or no text.
        OSError: it cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would wait for its writer
    with os.fdopen(fd, "rb") as file:
        _refuse_loose(os.fstat(fd), path, stat.S_ISREG)
        content = file.read(_MAX_BYTES)
    if not content:
        msg = f"the secret {str(path)!r} is empty: put it back from a backup"
        raise ConfigurationError(msg)
    try:
        return content.decode()
    except UnicodeDecodeError:
        msg = f"the secret {str(path)!r} is not UTF-8 text: put it back from a backup"
        raise ConfigurationError(msg) from None  # the cause would hold the secret


def _refuse_loose(info: os.stat_result, path: Path, is_kind: Callable[[int], bool]) -> None:
    if not is_kind(info.st_mode):
        msg = f"{str(path)!r} is not what it should be (a link, or a folder for a file): remove it"
        raise ConfigurationError(msg)
    if info.st_uid != os.geteuid():
        owner = accounts.by_uid(info.st_uid).name
        msg = f"{str(path)!r} belongs to {owner!r}: run as that user or give it to the one who runs Manta"
        raise ConfigurationError(msg)
    if info.st_mode & 0o077:
        mode = stat.S_IMODE(info.st_mode)
        msg = f"{str(path)!r} is open to others (mode {mode:04o}), who may know it: close it with `chmod go= {path}`"
        raise ConfigurationError(msg)
