"""A store's speed against FAISS alone, in one process and below Ray: build, search, change, snapshot, load.

Both sides get the same vectors of length 1 and one OpenMP thread. The store's side is all that stands below the handle:
checks, scaling, lock, ids, log and fsync.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psutil

from bench.options import Options
from bench.ratios import interleaved, measure, median_with_interval
from bench.report import Report, Table, number
from retrieval.index.protocol import Kind, Shape, Vectors
from retrieval.store import Store

BATCH = 1000
QUERIES = 200
K = 10
CHANGES = 50
DIMENSIONS = 384
HEADERS = [
    "kind", "vectors", "search p50 ms", "p99", "CPU, of FAISS alone", "add one p50 ms", "delete one p50 ms",
    "snapshot ms", "load ms", "same neighbours",
]  # fmt: skip


def unit_vectors(count: int, dimensions: int, seed: int) -> Vectors:
    """Gathered around a few hundred centres, as texts are."""
    choose = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(300, dimensions))
    vectors = centres[choose.integers(0, 300, count)] + 0.7 * choose.normal(size=(count, dimensions))
    scaled: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def raw_index(kind: Kind, dimensions: int) -> Any:  # noqa: ANN401  FAISS has no types
    if kind is Kind.FLAT:
        return faiss.IndexFlat(dimensions, faiss.METRIC_INNER_PRODUCT)
    graph = faiss.IndexHNSWFlat(dimensions, 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = 200, 128
    return graph


def timed_ms(work: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return 1000 * (time.perf_counter() - start)


def percentiles(times_ms: Iterable[float]) -> dict[str, float]:
    points = statistics.quantiles(times_ms, n=100, method="inclusive")
    return {f"p{point}": round(points[point - 1], 3) for point in (50, 95, 99)}


def bench(kind: Kind, size: int, pairs: int, folder: Path) -> dict[str, Any]:
    vectors, queries = unit_vectors(size, DIMENSIONS, 1), unit_vectors(QUERIES, DIMENSIONS, 2)
    ids = np.arange(size, dtype=np.int64)
    store, raw = Store.create(folder, Shape(DIMENSIONS, kind=kind)), raw_index(kind, DIMENSIONS)
    parts = [slice(start, start + BATCH) for start in range(0, size, BATCH)]
    build = measure(lambda: [store.add(ids[part], vectors[part]) for part in parts])
    raw_build = measure(lambda: [raw.add(vectors[part]) for part in parts])
    found: dict[str, Any] = {"kind": kind.value, "size": size, "dimensions": DIMENSIONS}
    found["build_cpu_s"], found["raw_build_cpu_s"] = round(build.cpu_s, 2), round(raw_build.cpu_s, 2)
    return found | compare(store, raw, queries, pairs) | change(store, vectors, size) | keep(store, folder)


def compare(store: Store, raw: Any, queries: Vectors, pairs: int) -> dict[str, Any]:  # noqa: ANN401  as above
    single = [queries[place : place + 1] for place in range(QUERIES)]

    def ours() -> None:
        for query in single:
            store.search(query, K)

    def theirs() -> None:
        for query in single:
            raw.search(query, K)

    for leg in (ours, theirs):
        measure(leg)
    costs = interleaved(theirs, ours, pairs)
    pairs_of_rows = zip(store.search(queries, K)[0].tolist(), raw.search(queries, K)[1].tolist(), strict=True)
    same = sum(len(set(a) & set(b)) for a, b in pairs_of_rows) / (QUERIES * K)
    return {
        "search_ms": percentiles(timed_ms(store.search, query, K) for query in single),
        "raw_search_ms": percentiles(timed_ms(raw.search, query, K) for query in single),
        "wall_over_raw": [round(each, 3) for each in median_with_interval([b.wall_s / a.wall_s for a, b in costs])],
        "cpu_over_raw": [round(each, 3) for each in median_with_interval([b.cpu_s / a.cpu_s for a, b in costs])],
        "same_neighbours": round(same, 4),
    }


def change(store: Store, vectors: Vectors, size: int) -> dict[str, Any]:
    fresh = range(size, size + CHANGES)
    add = [timed_ms(store.add, [id_], vectors[id_ - size : id_ - size + 1]) for id_ in fresh]
    delete = [timed_ms(store.delete, [id_]) for id_ in fresh]
    return {"add_one_ms": percentiles(add), "delete_one_ms": percentiles(delete)}


def keep(store: Store, folder: Path) -> dict[str, Any]:
    replay = timed_ms(lambda: Store.open(folder).close())
    taken = timed_ms(store.snapshot)
    stats = store.stats()
    store.close()
    loaded = timed_ms(lambda: Store.open(folder).close())
    return {
        "replay_whole_log_ms": round(replay),
        "snapshot_ms": round(taken),
        "load_snapshot_ms": round(loaded),
        "snapshot_mb": round(stats.snapshot_bytes / 1e6, 1),
        "rss_mb": round(psutil.Process().memory_info().rss / 1e6),
    }


def run(options: Options) -> Report:
    """Every kind of index in each size, one OpenMP thread on both sides."""
    faiss.omp_set_num_threads(1)
    found = []
    for kind in Kind:
        for size in (10_000,) if options.short else (10_000, 100_000):
            with tempfile.TemporaryDirectory() as folder:
                found.append(bench(kind, size, options.pick(5, 2), Path(folder)))
    notes = [
        f"{DIMENSIONS} dimensions, k {K}, one query at a time; a change is in the log and flushed before it counts."
    ]
    return Report(
        "search", "A vector store / FAISS alone", [Table(HEADERS, list(map(row, found)))], notes, {"rows": found}
    )


def row(found: dict[str, Any]) -> list[str]:
    """One line of the table."""
    middle, low, high = found["cpu_over_raw"]
    return [
        found["kind"],
        f"{found['size']:,}",
        number(found["search_ms"]["p50"], 2),
        number(found["search_ms"]["p99"], 2),
        f"{middle:.2f} [{low:.2f}, {high:.2f}]",
        number(found["add_one_ms"]["p50"], 2),
        number(found["delete_one_ms"]["p50"], 2),
        str(found["snapshot_ms"]),
        str(found["load_snapshot_ms"]),
        f"{found['same_neighbours']:.3f}",
    ]
