"""The one place where processes are started, and a handle on them that a recycled pid cannot fool.

Argument lists only, never a shell. A child gets a session of its own, so that Ctrl-C in the terminal reaches the
launcher alone. Nothing here knows what the programs do.
"""

import asyncio
import errno
import os
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals, pidfd_send_signal
from typing import IO, Self

from configs import files, procfs
from configs.accounts import Account
from configs.errors import ConfigurationError, Internal, TimedOut

_POLL_S = 0.02
_OUTPUT_BYTES = 8192
_KILL_WAIT_S = 10.0
_REMEMBERED = 64

_started: dict[int, subprocess.Popen[bytes]] = {}
_started_lock = threading.Lock()


@dataclass(frozen=True)
class Command:
    """Everything needed to start the same process again."""

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(repr=False)
    log: Path
    account: Account | None = None

    def spawn(self, fds: Sequence[int] = ()) -> "Child":
        """Start it, its output appended to its log.

        Raises:
            ConfigurationError: the program, folder or log cannot be used, or the account cannot be taken on.
        """
        with files.disk_faults(self.log):
            log = files.open_log(self.log)
        try:
            process = _popen(self.argv, self.cwd, self.env, self.account, log, fds)
        finally:
            os.close(log)
        _remember(process)
        known = procfs.facts(process.pid)  # a child that ended at once stays a zombie until it is asked
        return Child(self.name, process.pid, known.started_at if known else 0, self)


@dataclass(frozen=True)
class Child:
    """One process, ours or adopted: its pid together with its start, in clock ticks since boot."""

    name: str
    pid: int
    started_at: int
    command: Command | None = field(default=None, compare=False, repr=False)

    @classmethod
    def adopt(cls, name: str, pid: int) -> Self | None:
        """A handle on a process that something else started, or None when there is none of that number."""
        known = procfs.facts(pid)
        return cls(name, pid, known.started_at) if known and not known.ended else None

    def alive(self) -> bool:
        """Whether it still runs. A zombie does not, unless it is ours and threads of it are still on their way out."""
        ours = _ours(self.pid)
        ending = ours is not None and ours.poll() is None
        known = procfs.facts(self.pid)
        return known is not None and known.started_at == self.started_at and (ending or not known.ended)

    def exit_code(self) -> int | None:
        """How it ended (minus the signal's number when killed), if this process started it; else None."""
        return None if self.alive() or (ours := _ours(self.pid)) is None else ours.poll()

    def signal(self, number: Signals) -> bool:
        """Send a signal; false when the process is gone already. Never reaches another process of the same pid."""
        with self._pidfd() as pidfd:
            if not self.alive():
                return False
            try:
                if pidfd is None:
                    os.kill(self.pid, number)
                else:
                    pidfd_send_signal(pidfd, number)
            except ProcessLookupError:
                return False
        return True

    def wait(self, timeout_s: float) -> bool:
        """Block until it has ended or the time is over; true when it has ended."""
        deadline = time.monotonic() + timeout_s
        with self._pidfd() as pidfd:
            poller = select.poll()
            if pidfd is not None:
                poller.register(pidfd, select.POLLIN)
            while self.alive():
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                poller.poll(1000 * (left_s if pidfd is not None else min(left_s, _POLL_S)))
        return True

    async def ended(self) -> None:
        """Wait, without a thread, until it has ended."""
        with self._pidfd() as pidfd:
            if pidfd is None:
                while self.alive():  # noqa: ASYNC110 - without pidfds there is nothing to wait on
                    await asyncio.sleep(10 * _POLL_S)
                return
            loop, over = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(pidfd, over.set)
            try:
                while self.alive():
                    await over.wait()
            finally:
                loop.remove_reader(pidfd)

    def terminate(self, grace_s: float, first: Signals = SIGTERM) -> None:
        """Ask it to end, and kill it when it has not after `grace_s`.

        Raises:
            Internal: it outlives SIGKILL (it hangs in the kernel, on a dead disk for example).
        """
        if not self.signal(first) or self.wait(grace_s):
            return
        self.signal(SIGKILL)
        if not self.wait(_KILL_WAIT_S):
            msg = f"{self.name} (pid {self.pid}) does not end, not even by SIGKILL"
            raise Internal(msg)

    @contextmanager
    def _pidfd(self) -> Iterator[int | None]:
        """A descriptor on whoever has the pid now: check `alive()` after opening it, then it is proven to be ours."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except OSError as exc:
            if exc.errno not in (errno.ESRCH, errno.ENOSYS, errno.EPERM):  # gone; old kernel; seccomp
                raise
            yield None
            return
        try:
            yield pidfd
        finally:
            os.close(pidfd)


@dataclass(frozen=True)
class Completed:
    """A short command that ended well, with the end of what it printed (both streams)."""

    program: str
    output: str


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: Path,
    account: Account | None = None,
    fds: Sequence[int] = (),
) -> Child:
    """Start a process that goes on. `env` is the whole environment; only the descriptors in `fds` are handed over.

    Raises:
        ConfigurationError: the program, folder or log cannot be used, or the account cannot be taken on.
    """
    return Command(name, tuple(argv), cwd, dict(env), stdout, account).spawn(fds)


def run(
    argv: Sequence[str], *, timeout_s: float, cwd: Path, env: Mapping[str, str], account: Account | None = None
) -> Completed:
    """Run a short command to its end.

    Raises:
        ConfigurationError: the program cannot be started.
        Internal: it failed, or took longer than `timeout_s` and was killed with everything in its session.
    """
    program = Path(argv[0]).name
    with tempfile.TemporaryFile() as output:
        _finish(_popen(argv, cwd, env, account, output.fileno(), ()), program, timeout_s, output)
        return Completed(program, _end(output))


def ask(argv: Sequence[str], *, timeout_s: float, cwd: Path, env: Mapping[str, str], max_bytes: int) -> bytes:
    """The beginning of what a short command prints on standard output; it may be a secret and touches no disk.

    Raises:
        ConfigurationError, Internal: as for `run`.
    """
    program = Path(argv[0]).name
    with os.fdopen(os.memfd_create(program), "rb") as output, tempfile.TemporaryFile() as errors:
        _finish(_popen(argv, cwd, env, None, output.fileno(), (), errors.fileno()), program, timeout_s, errors)
        return os.pread(output.fileno(), max_bytes, 0)


def wait_until(ready: Callable[[], bool], child: Child, timeout_s: float) -> None:
    """Block until a server that was just started answers.

    Raises:
        Internal: it ended instead; the message carries the end of its log.
        TimedOut: it still runs but has not answered in time.
    """
    deadline = time.monotonic() + timeout_s
    log = child.command.log if child.command else None
    while not ready():
        if not child.alive():
            words = files.tail(log) if log else ""
            msg = f"{child.name} ended while starting. The end of {log}: {words}"
            raise Internal(msg)
        if time.monotonic() > deadline:
            msg = f"{child.name} was not ready within {timeout_s:g} s; see {log}"
            raise TimedOut(msg)
        time.sleep(_POLL_S)


def _popen(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    account: Account | None,
    output: int,
    fds: Sequence[int],
    errors: int = subprocess.STDOUT,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=tuple(fds),
            start_new_session=True,
            umask=0o077,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as exc:
        raise ConfigurationError(_refusal(argv[0], cwd, account, exc)) from exc


def _refusal(program: str, cwd: Path, account: Account | None, exc: OSError) -> str:
    if not cwd.is_dir():
        return f"cannot start {program}: the folder {str(cwd)!r} does not exist"
    if account and exc.errno == errno.EPERM:
        return f"cannot start {program}: root may not become {account.name!r} here (it lacks CAP_SETUID, CAP_SETGID)"
    return f"cannot start {program}: {exc.strerror}"


def _finish(process: subprocess.Popen[bytes], program: str, timeout_s: float, words: IO[bytes]) -> None:
    """Wait for a short command; Internal with its last words when it fails or must be killed, with its children."""
    code: int | None = None
    try:
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(timeout_s)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, SIGKILL)  # its group's number is its own until it is reaped
            process.wait()
    if code != 0:
        ended = f"did not end within {timeout_s:g} s" if code is None else f"ended with status {code}"
        raise Internal(f"{program} {ended}. Its last lines: {_end(words)}")


def _end(output: IO[bytes]) -> str:
    output.seek(max(0, output.seek(0, os.SEEK_END) - _OUTPUT_BYTES))
    return output.read(_OUTPUT_BYTES).decode("utf-8", "replace").strip()


def _remember(process: subprocess.Popen[bytes]) -> None:
    with _started_lock:
        _started[process.pid] = process
        over = [pid for pid, other in _started.items() if other.poll() is not None and other is not process]
        for pid in over[:-_REMEMBERED]:
            del _started[pid]


def _ours(pid: int) -> subprocess.Popen[bytes] | None:
    with _started_lock:
        return _started.get(pid)
