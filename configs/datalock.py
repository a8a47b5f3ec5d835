"""Who holds a data directory: an exclusive flock that dies with its holder, and a line about who that is.

Does not know what lies in the directory.
"""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from configs import files
from configs.errors import ConfigurationError

_POLL_S = 0.05
_PROBE_S = 0.2  # a reader's look at the lock may stand in the way for a moment

_held: dict[Path, int] = {}  # lock -> pid: a forked child does not hold what its parent holds


@dataclass(frozen=True)
class Holder:
    """The process that holds a data directory."""

    pid: int
    command: str
    port: int | None = None


class Hold:
    """A held data directory; released at the end of the `with` block, or with the death of the process."""

    def __init__(self, lock: Path, fd: int, command: str) -> None:
        self._lock = lock
        self._fd = fd
        self._command = command
        _held[lock] = os.getpid()

    def announce(self, port: int | None) -> None:
        """Tell others who holds it and which port is served, once that is known.

        Raises:
            ConfigurationError: the disk is full or read-only.
        """
        line = json.dumps(asdict(Holder(os.getpid(), self._command, port))).encode()
        with files.disk_faults(self._lock):
            os.pwrite(self._fd, line, 0)
            os.ftruncate(self._fd, len(line))

    def release(self) -> None:
        """Let go. Twice does no harm."""
        if self._fd >= 0:
            _held.pop(self._lock, None)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def take(lock: Path, *, command: str, port: int | None, wait_s: float) -> Hold:
    """Hold the directory of that lock file, waiting at most `wait_s` for whoever has it.

    Raises:
        ConfigurationError: somebody else has it; the message tells who and what to do.
    """
    with files.disk_faults(lock):
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + max(wait_s, _PROBE_S)
    while not _try_lock(fd, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            message = _in_use(lock.parent, _read(fd))
            os.close(fd)
            raise ConfigurationError(message)
        time.sleep(_POLL_S)
    held = Hold(lock, fd, command)
    try:
        held.announce(port)
    except ConfigurationError:
        held.release()
        raise
    return held


def holder(lock: Path) -> Holder | None:
    """Who holds the directory now, or None.

    Raises:
        ConfigurationError: the lock file is closed to this user.
    """
    with files.disk_faults(lock):
        if not lock.is_file():
            return None
        fd = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return None if _try_lock(fd, fcntl.LOCK_SH) else _read(fd)
    finally:
        os.close(fd)


def is_ours(lock: Path) -> bool:
    """Whether this very process holds it."""
    return _held.get(lock) == os.getpid()


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(fd: int) -> Holder:
    try:
        return Holder(**json.loads(os.pread(fd, 4096, 0)))
    except (ValueError, TypeError):
        return Holder(pid=0, command="starting")  # caught between taking the lock and writing the line


def _in_use(data_dir: Path, by: Holder) -> str:
    what = by.command if by.port is None else f"{by.command} on port {by.port}"
    return (
        f"data directory {data_dir} is in use by pid {by.pid} ({what}): "
        f"stop it with `manta stop --data-dir {data_dir}` or choose another --data-dir"
    )
