"""Questions of 64 clients to one flat store / FAISS alone in batches of 64, and one after the other.

One process. The store's side is what a search replica does with a question: checks, gathering into batches, threads,
lock, ids, hits. FAISS's side gets the same vectors (it is the store's own index), in as many threads. Vectors are
gathered around a few hundred centres (`bench.vectors`). What Serve and HTTP add is measured by `knowledge`.
"""

import asyncio
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bench.options import Options
from bench.ratios import Cost, interleaved, median_with_interval
from bench.report import Report, Table, interval, number
from bench.vectors import DIMENSIONS, K, unit_vectors
from retrieval.collection import Collection, Entry, Query
from retrieval.gathering import Gathering
from retrieval.index.protocol import Shape, Vectors
from retrieval.index.segments import limit_threads
from retrieval.query import Hit

CLIENTS = 64
THREADS = 2
ROUNDS = 4
LARGE = 1_000_000
"""A pair of runs takes a minute."""
HEADERS = [
    "vectors", "queries/s", "FAISS in batches of 64", "ratio", "FAISS one by one", "times that",
    "CPU ms per query", "its own, beside FAISS's",
]  # fmt: skip


def collection_of(size: int) -> Collection:
    """Flat however large it is: nothing is melted."""
    collection, step = Collection(Shape(DIMENSIONS)), 50_000
    for first in range(0, size, step):
        vectors = unit_vectors(min(step, size - first), DIMENSIONS, first + 1)
        rows = (Entry(first + at, vectors[at : at + 1], (), "f") for at in range(len(vectors)))
        collection.apply(collection.seq + 1, rows)
    return collection


def served(collection: Collection, queries: Vectors) -> None:
    """Every client asks one question after the other."""

    async def run() -> None:
        with ThreadPoolExecutor(THREADS, initializer=limit_threads, initargs=(1,)) as threads:
            gathering: Gathering[Query, list[Hit]] = Gathering(collection.search_each, threads, THREADS)

            async def client(number: int) -> None:
                for turn in range(ROUNDS):
                    query = Query(queries[(number + turn * CLIENTS) % len(queries)], k=K)
                    collection.check(query)
                    await gathering.ask([query])

            await asyncio.gather(*(client(number) for number in range(CLIENTS)))

    asyncio.run(run())


def alone(index: Any, queries: Vectors, batch: int) -> None:  # noqa: ANN401  FAISS has no types
    """The same questions in batches, spread over threads."""
    places = np.arange(CLIENTS * ROUNDS) % len(queries)
    batches = [queries[places[at : at + batch]] for at in range(0, len(places), batch)]
    turn = threading.Lock()

    def work() -> None:
        limit_threads(1)
        while True:
            with turn:
                if not batches:
                    return
                taken = batches.pop()
            index.search(taken, K)

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def bench(size: int, pairs: int) -> dict[str, Any]:
    """One size."""
    collection, queries = collection_of(size), unit_vectors(CLIENTS * ROUNDS, DIMENSIONS, 2)
    index = collection._parts[0].segment._index  # type: ignore[attr-defined]  # both sides search the same memory
    legs: tuple[Callable[[], None], Callable[[], None]] = (
        lambda: alone(index, queries, CLIENTS),
        lambda: served(collection, queries),
    )
    for leg in legs:
        leg()
    costs = interleaved(*legs, pairs)
    singles = interleaved(lambda: alone(index, queries, 1), legs[1], max(1, pairs // 3))
    return {
        "size": size,
        "qps": _qps([ours for _, ours in costs]),
        "faiss_qps": _qps([theirs for theirs, _ in costs]),
        "ratio": median_with_interval([theirs.wall_s / ours.wall_s for theirs, ours in costs]),
        "single_qps": _qps([theirs for theirs, _ in singles]),
        "times_single": median_with_interval([theirs.wall_s / ours.wall_s for theirs, ours in singles]),
        "cpu_ms": _cpu_ms([ours for _, ours in costs]),
        "own_cpu_ms": _cpu_ms([ours for _, ours in costs]) - _cpu_ms([theirs for theirs, _ in costs]),
    }


def _qps(costs: list[Cost]) -> float:
    return CLIENTS * ROUNDS / statistics.median(cost.wall_s for cost in costs)


def _cpu_ms(costs: list[Cost]) -> float:
    return 1000 * statistics.median(cost.cpu_s for cost in costs) / (CLIENTS * ROUNDS)


def run(options: Options) -> Report:
    """Small, medium, and where one question costs tens of milliseconds."""
    found = []
    for size in (10_000,) if options.short else (10_000, 100_000, LARGE):
        start = time.perf_counter()
        found.append(bench(size, options.pick(12 if size < LARGE else 4, 2)))
        found[-1]["took_s"] = round(time.perf_counter() - start)
    notes = [
        f"{CLIENTS} clients, {DIMENSIONS} dimensions, k {K}, {THREADS} threads on both sides, each with one of OpenMP."
    ]
    return Report(
        "searching", "A flat store asked by many / FAISS alone", [Table(HEADERS, list(map(row, found)))], notes,
        {"rows": found},
    )  # fmt: skip


def row(found: dict[str, Any]) -> list[str]:
    """One line of the table."""
    return [
        f"{found['size']:,}",
        number(found["qps"]),
        number(found["faiss_qps"]),
        interval(found["ratio"]),
        number(found["single_qps"]),
        interval(found["times_single"]),
        number(found["cpu_ms"], 2),
        number(found["own_cpu_ms"], 2),
    ]
