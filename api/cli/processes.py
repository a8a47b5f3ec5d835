"""The processes of a data directory, by role: what runs, what it weighs, where it listens."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil

from configs import procfs
from configs.datadir import Layout
from configs.ledger import Ledger
from serving.names import APP_PREFIX

REPLICA = "ray::ServeReplica:"
ENGINE = "VLLM::"
"""What vLLM calls its engine core and its workers."""
CPU_WINDOW_S = 0.2


@dataclass
class Role:
    """Processes that do one job."""

    name: str
    processes: list[psutil.Process] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Pids, memory of their own (USS where it may be read, else RSS) and CPU in percent of one core."""
        return {
            "role": self.name,
            "pids": [process.pid for process in self.processes],
            "memory_bytes": sum(map(_memory, self.processes)),
            "cpu_percent": round(sum(map(_cpu, self.processes)), 1),
            "cpu_seconds": round(sum(map(_cpu_seconds, self.processes)), 1),
        }


def roles(layout: Layout, launcher_pid: int | None) -> list[Role]:
    """Every process of the installation under its role, in a fixed order.

    CPU percentages count from the first look at each process: `watch` them before they are asked.
    """
    found: dict[str, Role] = {}
    for process in _all(layout, launcher_pid):
        name = "launcher" if process.pid == launcher_pid else role_of(process)
        found.setdefault(name, Role(name)).processes.append(process)
    return sorted(found.values(), key=lambda role: (_rank(role.name), role.name))


def watch(found: list[Role]) -> None:
    """Begin to count CPU."""
    for role in found:
        for process in role.processes:
            _cpu(process)


def role_of(process: psutil.Process) -> str:
    """What a process does, by its title; a child of a replica belongs to its model."""
    title = _title(process)
    if title.startswith(REPLICA):
        application = title.removeprefix(REPLICA).partition(":")[0]
        return f"model:{application.removeprefix(APP_PREFIX)}" if application.startswith(APP_PREFIX) else application
    if title.startswith("ray::ServeController"):
        return "controller"
    for program, role in (
        ("postgres", "postgres"),
        ("valkey-server", "valkey"),
        ("raylet", "ray"),
        ("gcs_server", "ray"),
    ):
        if _program(process) == program:
            return role
    parent = _parent(process)
    if parent is not None and (title.startswith(ENGINE) or not title.startswith("ray::")):
        above = role_of(parent)
        return above if above.startswith("model:") else "ray"
    return "ray"


def listening(found: list[Role]) -> list[tuple[str, int, str, int]]:
    """(role, pid, address, port) of every TCP socket that listens; one that several share is told once each."""
    sockets = {
        (role.name, process.pid, connection.laddr.ip, connection.laddr.port)
        for role in found
        for process in role.processes
        for connection in _connections(process)
        if connection.status == psutil.CONN_LISTEN
    }
    return sorted(sockets, key=lambda socket: (socket[3], socket[1]))


def main_process(found: list[Role], role: str) -> dict[str, int]:
    """The pids of a role by what each is: a model's `replica` and `engine`, or the role's own name."""
    pids: dict[str, int] = {}
    for process in (process for each in found if each.name == role for process in each.processes):
        title, what = _title(process), role
        if role.startswith("model:"):
            what = "replica" if title.startswith(REPLICA) else "engine" if title.startswith(ENGINE) else role
        pids.setdefault(what, process.pid)
    return pids


def _all(layout: Layout, launcher_pid: int | None) -> Iterator[psutil.Process]:
    """The launcher, the trees below what it started, and what works in Ray's folder (workers are not its children)."""
    started = [child.pid for child in Ledger(layout.processes).survivors()]
    pids = {pid for pid in (launcher_pid, *started, *procfs.inside(layout.ray)) if pid is not None}
    seen: set[int] = set()
    for pid in sorted(pids):
        process = _process(pid)
        if process is None:
            continue
        for each in (process, *_children(process)):
            if each.pid not in seen:
                seen.add(each.pid)
                yield each


def _rank(name: str) -> int:
    order = ("launcher", "postgres", "valkey", "ray", "controller", "control", "ingress", "search")
    part = "search" if name.startswith("search-") else name
    return order.index(part) if part in order else len(order)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _parent(process: psutil.Process) -> psutil.Process | None:
    try:
        return process.parent()
    except psutil.Error:
        return None


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def _program(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _cpu(process: psutil.Process) -> float:
    try:
        return float(process.cpu_percent())
    except psutil.Error:
        return 0.0


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _connections(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections("tcp"))
    except psutil.Error:
        return []
