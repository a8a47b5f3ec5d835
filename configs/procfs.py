"""What Linux tells about running processes under /proc. Reads only, and knows no process of ours by name.

It needs no right to trace others: root in a container without CAP_SYS_PTRACE may not read the `cwd`, `exe` or `environ`
of another user's process, but may read its `stat`, `status` and `cmdline`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Facts:
    """One line of /proc/<pid>/stat. `started_at` counts clock ticks since boot and tells a recycled pid apart."""

    program: str
    state: str
    started_at: int

    @property
    def ended(self) -> bool:
        """A zombie: it runs no more, its parent has not asked how it ended."""
        return self.state in "ZX"


def facts(pid: int) -> Facts | None:
    """What is known of a process, or None when there is none of that number (proc(5), fields 2, 3 and 22)."""
    line = _read(pid, "stat").decode("utf-8", "replace")
    if not line:
        return None
    program, _, rest = line.partition("(")[2].rpartition(")")
    fields = rest.split()
    return Facts(program=program, state=fields[0], started_at=int(fields[19]))


def find(program: str, uid: int, matches: Callable[[bytes], bool]) -> Iterator[int]:
    """Pids of a user's processes of that program name (at most 15 bytes) whose command line, NULs and all, matches."""
    for pid in _pids():
        known = facts(pid)
        if (
            known
            and not known.ended
            and known.program == program
            and _uid(pid) == uid
            and matches(_read(pid, "cmdline"))
        ):
            yield pid


def inside(folder: Path) -> Iterator[int]:
    """Pids of the processes that work in `folder` or below it, as far as this user may see.

    Children inherit their folder, so it finds what a killed process left behind. The environment would not do: a
    program that writes its title over its arguments (Ray's workers and vLLM's do) overwrites some of it too.
    """
    for pid in _pids():
        known = facts(pid)
        if known and not known.ended and _works_in(pid, folder):
            yield pid


def command_line(pid: int) -> list[str]:
    """A process's arguments, as it was started."""
    return [part.decode("utf-8", "surrogateescape") for part in _read(pid, "cmdline").split(b"\0")[:-1]]


def boot_id() -> str:
    """A name for this run of the kernel: pids and start times of another one mean nothing."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _uid(pid: int) -> int | None:
    for line in _read(pid, "status").splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[2])  # the effective one
    return None


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return (_PROC / str(pid) / "cwd").readlink().is_relative_to(folder)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
