"""What the processes of a stack use over minutes: CPU by role, also of those that come and go, and the most memory."""

import threading
import time
from collections import defaultdict
from types import TracebackType
from typing import Self

from bench import processes
from bench.stacks import Stack

LOOK_S = 2.0
MEMORY_EVERY = 5
"""Looks; proportional sizes cost more to read than CPU."""


class Watch:
    """Looks every two seconds, in a thread of its own. What a process uses after the last look at it is not counted."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._begun: dict[int, float] = {pid: processes.cpu_s(pid) for pid in stack.pids()}
        self._last: dict[int, tuple[str, float]] = {}
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)
        self.peak_mb: dict[str, float] = defaultdict(float)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds by role since the beginning."""
        self._look()
        used: dict[str, float] = defaultdict(float)
        with self._lock:
            for pid, (role, cpu_s) in self._last.items():
                used[role] += cpu_s - self._begun.get(pid, 0.0)
        return used

    def _run(self) -> None:
        looks = 0
        while not self._over.wait(LOOK_S):
            self._look()
            if looks % MEMORY_EVERY == 0:
                for role, size in processes.memory_mb(self._stack.pids()).items():
                    self.peak_mb[role] = max(self.peak_mb[role], size)
            looks += 1

    def _look(self) -> None:
        for pid in self._stack.pids():
            if line := processes.command_line(pid):
                cpu_s = processes.cpu_s(pid)
                with self._lock:
                    known = self._last.get(pid)
                    if known is None or cpu_s >= known[1]:
                        self._last[pid] = processes.role(line), cpu_s


class Phases:
    """Parts of a work, one after the other: seconds and CPU by role of each."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._before, self._at = watch.cpu_s(), time.perf_counter()
        self.wall_s: dict[str, float] = {}
        self.cpu_s: dict[str, dict[str, float]] = {}

    def over(self, name: str) -> None:
        """What was done since the last call has this name."""
        now, at = self._watch.cpu_s(), time.perf_counter()
        self.wall_s[name] = at - self._at
        self.cpu_s[name] = {role: cpu_s - self._before.get(role, 0.0) for role, cpu_s in now.items()}
        self._before, self._at = now, at
