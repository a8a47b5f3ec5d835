"""Who runs the servers: as root an unprivileged account, else nobody but the caller. Starts and changes nothing."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

_PREFERRED = ("manta", "nobody")
_OVERFLOW_ID = 65534  # what Linux calls nobody where /etc/passwd does not


@dataclass(frozen=True)
class Account:
    """A user of the operating system, with its main group and no others."""

    name: str
    uid: int
    gid: int


def service_account(keeper: Path) -> Account | None:
    """The account that PostgreSQL and Valkey drop to, or None when the caller is not root.

    An existing `keeper` folder decides by its owner, so that a cluster stays with the account that made it; otherwise
    `manta` if there is such a user, else `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if keeper.is_dir() and (owner := keeper.stat().st_uid) != 0:
        return by_uid(owner)
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    return Account("nobody", _OVERFLOW_ID, _OVERFLOW_ID)


def by_uid(uid: int) -> Account:
    """The account of a user id; an id without a name keeps its number as name and group."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, uid)
    return Account(entry.pw_name, uid, entry.pw_gid)


def closed_folder(path: Path, account: Account) -> Path | None:
    """The first existing folder on the way down to `path` that `account` cannot pass, by owner, group and mode bits."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            break
        if not _may_execute(folder.stat(), account):
            return folder
    return None


def may_run(program: Path, account: Account) -> bool:
    """Whether `account` can reach and execute a program."""
    return closed_folder(program, account) is None and _may_execute(program.stat(), account)


def _may_execute(info: os.stat_result, account: Account) -> bool:
    if account.uid == info.st_uid:
        return bool(info.st_mode & stat.S_IXUSR)
    if account.gid == info.st_gid:
        return bool(info.st_mode & stat.S_IXGRP)
    return bool(info.st_mode & stat.S_IXOTH)
