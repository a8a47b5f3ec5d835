"""From nothing to the first token: the installed `manta serve` / vLLM's own server, caches warm, A B B A; and at rest.

Manta starts PostgreSQL, Valkey, Ray, its applications, the same engine and an embedding model. At rest means 30 s
without requests, 20 s after every model was ready.
"""

import statistics
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.options import Options
from bench.processes import ENGINE, HELPER, REPLICA, WORKER, memory_mb
from bench.report import Report, Table, number
from bench.stacks import EMBEDDING_MODEL, MODEL, POLL_S, Stack, first_token_s, manta, open_folder, plain

REST_AFTER_S = 20.0
REST_S = 30.0
ENGINE_ROLES = {REPLICA + MODEL, ENGINE, WORKER, HELPER}
APART = ENGINE_ROLES | {REPLICA + EMBEDDING_MODEL}


@dataclass(frozen=True, slots=True)
class Rest:
    """All of Manta without requests: cores and MiB by role."""

    cores: dict[str, float]
    memory_mb: dict[str, float]


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of the process; None where it was not asked."""

    side: str
    first_token_s: float
    livez_s: float | None = None
    all_ready_s: float | None = None


def run(options: Options) -> Report:
    """Both once to warm the caches, then pairs, then the rest."""
    order = "AB" if options.short else "ABBA"
    with open_folder() as folder:
        if not options.short:
            start_plain(folder)
            start_manta(folder)
        starts = [start_plain(folder) if side == "A" else start_manta(folder) for side in order]
        rest = at_rest(folder)
    return report(starts, rest)


def start_plain(folder: Path) -> Start:
    """One start of vLLM's server."""
    begin = time.perf_counter()
    with plain(folder) as stack:
        return Start(stack.name, first_token_s(stack, begin))


def start_manta(folder: Path) -> Start:
    """One start of Manta, with the second at which `/livez` answered and at which every model was ready."""
    begin = time.perf_counter()
    alive: list[float] = []
    with manta(folder, embedder=True) as stack:
        watcher = threading.Thread(target=watch_alive, args=(stack, begin, alive))
        watcher.start()
        first_s = first_token_s(stack, begin)
        watcher.join()
        stack.wait_ready()
        return Start(stack.name, first_s, alive[0] if alive else None, time.perf_counter() - begin)


def watch_alive(stack: Stack, begin: float, found: list[float]) -> None:
    """Note when `/livez` answers first."""
    while stack.child.alive():
        if stack.get("/livez", timeout_s=1.0) is not None:
            found.append(time.perf_counter() - begin)
            return
        time.sleep(POLL_S)


def at_rest(folder: Path) -> Rest:
    """What all of Manta uses while nobody asks."""
    with manta(folder, embedder=True) as stack:
        first_token_s(stack, time.perf_counter())
        stack.wait_ready()
        time.sleep(REST_AFTER_S)
        meter = stack.meter()
        time.sleep(REST_S)
        used = meter.read()
        cores = {name: cpu_s / used.wall_s for name, cpu_s in used.cpu_s.items()}
        return Rest(cores, memory_mb(stack.pids()))


def report(starts: list[Start], rest: Rest) -> Report:
    """Starts one by one, the ratio of their medians, and the rest by role."""
    rows = [
        [each.side, number(each.first_token_s), number(each.livez_s, 2), number(each.all_ready_s)] for each in starts
    ]
    theirs, ours = (
        statistics.median(each.first_token_s for each in starts if (each.livez_s is None) is plain_side)
        for plain_side in (True, False)
    )
    largest = sorted(rest.memory_mb, key=lambda name: -rest.memory_mb[name])
    roles = [[name, number(100 * rest.cores.get(name, 0.0), 2), number(rest.memory_mb[name], 0)] for name in largest]
    memory = sum(size for name, size in rest.memory_mb.items() if name not in APART)
    notes = [
        f"Start to first token, Manta / plain vLLM: {ours / theirs:.2f} (reach 1.4).",
        f"CPU at rest: {100 * sum(rest.cores.values()):.1f} % of one core (reach 10).",
        f"PSS outside engine and embedder, object store apart: {memory / 1024:.2f} GiB (reach 1.5 GB).",
    ]
    tables = [
        Table(["side", "first token s", "/livez s", "all models ready s"], rows),
        Table(["role", "% of a core at rest", "PSS MiB"], roles),
    ]
    data = {"starts": [asdict(each) for each in starts], "rest": asdict(rest)}
    return Report("startup", "Start and rest", tables, notes, data)
