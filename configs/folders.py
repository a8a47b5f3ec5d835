"""Folders of ours: made with their mode and owner, and refused when somebody else could write into them."""

import os
import shlex
import stat
from pathlib import Path

from configs import accounts
from configs.accounts import Account
from configs.errors import ConfigurationError


def is_private(path: Path) -> bool:
    """A real folder of this user that nobody else can write to."""
    try:
        info = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o022


def refuse_foreign(folder: Path) -> None:
    """Whoever could put links into the folder could lead our writes elsewhere.

    Raises:
        ConfigurationError: somebody else could.
    """
    if not is_private(folder):
        msg = (
            f"{str(folder)!r} is a link, belongs to another user or can be written by others: "
            f"look at `ls -ld {shlex.quote(str(folder))}`, then remove or mend it, or choose another --data-dir"
        )
        raise ConfigurationError(msg)


def make_parents(path: Path) -> None:
    """Create missing folders above; as root open to pass, whatever the umask says. Existing ones stay as they are."""
    mode = 0o755 if os.geteuid() == 0 else 0o700
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir()
            parent.chmod(mode)


def make(folder: Path, mode: int, owner: Account | None = None) -> None:
    """Create the folder, or close an existing one, so that it has this mode and owner (default: the caller).

    Raises:
        ConfigurationError: it belongs to somebody else.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    info = folder.stat()
    uid = owner.uid if owner else os.geteuid()
    if owner and info.st_uid == os.geteuid() != uid and not any(folder.iterdir()):
        os.chown(folder, owner.uid, owner.gid)
    elif info.st_uid != uid:
        there, wanted = accounts.by_uid(info.st_uid).name, accounts.by_uid(uid).name
        msg = f"{str(folder)!r} belongs to {there!r} and not to {wanted!r}: `chown -R {wanted} {folder}` mends it"
        raise ConfigurationError(msg)
    if stat.S_IMODE(info.st_mode) != mode:
        folder.chmod(mode)
