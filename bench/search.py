"""A store's speed against FAISS alone, in one process and below Ray: build, search, change, snapshot, load.

Run as: python -m bench.search [--sizes 10000 100000] [--kinds flat hnsw] [--dimensions 384] [--pairs 5] [--json FILE]

Both sides get the same vectors of length 1 and one OpenMP thread. The store's side is all that stands below the handle:
checks, scaling, lock, ids, log and fsync.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psutil

from bench.ratios import interleaved, measure, median_with_interval
from retrieval.index.protocol import Kind, Shape, Vectors
from retrieval.store import Store

BATCH = 1000
QUERIES = 200
K = 10
CHANGES = 50


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


def bench(kind: Kind, size: int, asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    vectors, queries = unit_vectors(size, asked.dimensions, 1), unit_vectors(QUERIES, asked.dimensions, 2)
    ids = np.arange(size, dtype=np.int64)
    store, raw = Store.create(folder, Shape(asked.dimensions, kind=kind)), raw_index(kind, asked.dimensions)
    parts = [slice(start, start + BATCH) for start in range(0, size, BATCH)]
    build = measure(lambda: [store.add(ids[part], vectors[part]) for part in parts])
    raw_build = measure(lambda: [raw.add(vectors[part]) for part in parts])
    found: dict[str, Any] = {"kind": kind.value, "size": size, "dimensions": asked.dimensions}
    found["build_cpu_s"], found["raw_build_cpu_s"] = round(build.cpu_s, 2), round(raw_build.cpu_s, 2)
    return found | compare(store, raw, queries, asked.pairs) | change(store, vectors, size) | keep(store, folder)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--kinds", type=Kind, nargs="+", default=list(Kind))
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    faiss.omp_set_num_threads(1)
    rows = []
    for kind in asked.kinds:
        for size in asked.sizes:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(bench(kind, size, asked, Path(folder)))
            print(json.dumps(rows[-1]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps({"faiss": faiss.__version__, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
