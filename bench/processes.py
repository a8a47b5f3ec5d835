"""What each process of a stack is for, and what it uses: CPU seconds and memory by role.

Roles are read from command lines (Ray and vLLM write theirs as titles). It starts and stops nothing.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")

INGRESS = "ingress"
REPLICA = "replica "
ENGINE = "engine core"
WORKER = "engine worker"
HELPER = "engine helper"
VLLM_SERVER = "vllm api server"
STORES = ("postgres", "valkey")

# The first that is found in the command line decides.
MARKS = (
    ("ray::ServeReplica:ingress:", INGRESS),
    ("ray::ServeReplica:control:", "control"),
    ("ray::ServeReplica:search", "search"),
    ("ray::ServeController", "serve controller"),
    ("ray::DashboardAgent", "ray agents"),
    ("ray::RuntimeEnvAgent", "ray agents"),
    ("ray::IngestWorker", "ingest"),
    ("retrieval.reader", "reader"),
    ("ray::", "ray workers"),
    ("VLLM::EngineCore", ENGINE),
    ("VLLM::Worker", WORKER),
    ("multiprocessing.resource_tracker", HELPER),
    ("multiprocessing.forkserver", HELPER),
    ("vllm.entrypoints.openai.api_server", VLLM_SERVER),
    ("VLLM::APIServer", VLLM_SERVER),
    ("gcs_server", "gcs"),
    ("raylet/raylet", "raylet"),
    ("postgres", "postgres"),
    ("valkey-server", "valkey"),
    ("api.launcher", "launcher"),
    ("manta serve", "launcher"),
)


def role(command_line: str) -> str:
    """What a process is for; "replica NAME" for a model's own."""
    _, model, rest = command_line.partition("ray::ServeReplica:model-")
    if model:
        return REPLICA + rest.partition(":")[0]
    return next((name for mark, name in MARKS if mark in command_line), "other")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds by role between two moments, and the seconds between them."""

    cpu_s: Mapping[str, float]
    wall_s: float

    def of(self, *roles: str) -> float:
        """CPU seconds of some roles."""
        return sum(self.cpu_s.get(name, 0.0) for name in roles)

    @property
    def total_s(self) -> float:
        """CPU seconds of all."""
        return sum(self.cpu_s.values())


class Meter:
    """Counts the CPU of a tree of processes from now on. Processes that ended in between are not counted."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._before = {pid: (role(command_line(pid)), cpu_s(pid)) for pid in pids}
        self._start = time.perf_counter()

    def read(self) -> Usage:
        """What was used since."""
        used: dict[str, float] = defaultdict(float)
        for pid, (name, before) in self._before.items():
            used[name] += max(0.0, cpu_s(pid) - before)
        return Usage(dict(used), time.perf_counter() - self._start)


def tree(roots: Iterable[int]) -> list[int]:
    """`roots` and everything below them."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found, waiting = dict[int, None](), list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found[pid] = None
            waiting += children[pid]
    return list(found)


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a process; 0 when it is gone (proc(5), fields 14 and 15)."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S if fields else 0.0


def memory_mb(pids: Iterable[int]) -> dict[str, float]:
    """Proportional set size by role, in MiB. Ray's object store is left out: shared pages count for the stores only."""
    sizes: dict[str, float] = defaultdict(float)
    for pid in pids:
        name, rollup = role(command_line(pid)), _rollup(pid)
        shared = 0 if name in STORES else rollup.get("Pss_Shmem", 0)
        sizes[name] += (rollup.get("Pss", 0) - shared) / 1024
    return dict(sizes)


def command_line(pid: int) -> str:
    """A process's arguments, blank between them; nothing when it is gone."""
    return _read(pid, "cmdline").replace("\0", " ").strip()


def _rollup(pid: int) -> dict[str, int]:
    lines = (line.split() for line in _read(pid, "smaps_rollup").splitlines()[1:])
    return {words[0].rstrip(":"): int(words[1]) for words in lines}


def _stat(pid: int) -> list[str]:
    """Fields 3 and following of /proc/PID/stat."""
    return _read(pid, "stat").rpartition(")")[2].split()


def _read(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
