"""A collection against the flat index of FAISS: recall, queries per second, memory, growth of cost.

One process, one OpenMP thread on both sides, one query at a time. Vectors are gathered around a few hundred centres
(`bench.vectors.unit_vectors`), whose groups are harder to tell apart than texts are. The collection's side is all that
stands below the handle: checks, scaling, lock, filter, ids. Memory is what a dump's vectors and ids take, and the
growth of cost is the exponent between the smallest and the largest size.
"""

import math
from typing import Any

import faiss
import numpy as np

from bench.options import Options
from bench.ratios import interleaved, measure, median_with_interval
from bench.report import Report, Table, interval, number
from bench.vectors import DIMENSIONS, K, unit_vectors
from retrieval.collection import Collection, Entry, Query
from retrieval.filters import parse
from retrieval.index.protocol import Shape, Vectors

QUERIES = 100
FILES = 100
VECTOR_ARRAYS = ("ivf", "codes", "ranges", "flat", "ids", "files", "windows", "flags")
HALF = parse({"type": "lt", "key": "n", "value": FILES / 2})
HUNDREDTH = parse({"type": "eq", "key": "n", "value": 0})
HEADERS = [
    "vectors", "index", "recall@10", "half allowed", "1 in 100", "speed / flat FAISS", "CPU ms per query",
    "bytes per dimension", "compaction s",
]  # fmt: skip


def collection_of(vectors: Vectors) -> Collection:
    """One window per chunk, in files of every hundredth."""
    collection = Collection(Shape(DIMENSIONS))
    collection.apply(1, described={f"f{file}": {"n": float(file)} for file in range(FILES)})
    collection.apply(2, (Entry(at, vectors[at : at + 1], (), f"f{at % FILES}") for at in range(len(vectors))))
    return collection


def bench(vectors: Vectors, queries: Vectors, pairs: int) -> dict[str, Any]:
    """Vectors [n, DIMENSIONS] and QUERIES queries of length 1."""
    size = len(vectors)
    collection, raw = collection_of(vectors), faiss.IndexFlatIP(DIMENSIONS)
    raw.add(vectors)
    built = measure(collection.compact)
    single = [queries[at : at + 1] for at in range(QUERIES)]
    costs = interleaved(
        lambda: [raw.search(query, K) for query in single],
        lambda: [collection.search(Query(query[0], k=K)) for query in single],
        pairs,
    )
    (state,) = collection.content().parts
    return {
        "size": size,
        "kind": "quantized" if "codes" in state else "flat",
        "recall": recall(collection, queries, vectors, None),
        "recall_half": recall(collection, queries, vectors, FILES // 2),
        "recall_hundredth": recall(collection, queries, vectors, 1),
        "speed": [round(each, 3) for each in median_with_interval([a.wall_s / b.wall_s for a, b in costs])],
        "cpu_ms": round(min(b.cpu_s for _, b in costs) * 1000 / QUERIES, 3),
        "bytes_per_dimension": sum(len(state.get(name, b"")) for name in VECTOR_ARRAYS) / size / DIMENSIONS,
        "compaction_s": round(built.wall_s, 1),
    }


def recall(collection: Collection, queries: Vectors, vectors: Vectors, files: int | None) -> float:
    """The share of the true neighbours that is found, among the chunks of the first so many files."""
    allowed = np.arange(len(vectors))
    if files is not None:
        allowed = allowed[allowed % FILES < files]
    asked = {None: None, FILES // 2: HALF, 1: HUNDREDTH}[files]
    found = 0
    for query in queries:
        true = allowed[np.argsort(-(vectors[allowed] @ query))[:K]]
        found += len({hit.chunk_id for hit in collection.search(Query(query, filter=asked, k=K))} & set(true.tolist()))
    return found / (len(queries) * K)


def run(options: Options) -> Report:
    """Each size."""
    faiss.omp_set_num_threads(1)
    sizes = (2_000, 25_000) if options.short else (10_000, 100_000, 1_000_000)
    queries = unit_vectors(QUERIES, DIMENSIONS, 2)
    found = [bench(unit_vectors(size, DIMENSIONS, 1), queries, options.pick(5, 2)) for size in sizes]
    growth = math.log(found[-1]["cpu_ms"] / found[0]["cpu_ms"]) / math.log(sizes[-1] / sizes[0])
    notes = [
        f"{DIMENSIONS} dimensions, k {K}; a recall counts against every vector compared.",
        f"CPU per query grows with the {growth:.2f}th power of the number from {sizes[0]:,} to {sizes[-1]:,} vectors.",
    ]
    data = {"rows": found, "growth": growth}
    return Report("index", "A collection / FAISS's flat index", [Table(HEADERS, list(map(row, found)))], notes, data)


def row(found: dict[str, Any]) -> list[str]:
    """One line of the table."""
    low_to_high: tuple[float, float, float] = tuple(found["speed"])
    return [
        f"{found['size']:,}",
        found["kind"],
        *(number(found[name], 3) for name in ("recall", "recall_half", "recall_hundredth")),
        interval(low_to_high),
        number(found["cpu_ms"], 3),
        number(found["bytes_per_dimension"], 2),
        number(found["compaction_s"]),
    ]
