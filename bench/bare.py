"""How long FAISS alone takes for one question, on the vectors that a store of a running stack has."""

import asyncio
import statistics
import time
from pathlib import Path

import faiss
import numpy as np

from bench.stored import Stored
from bench.vectors import K
from retrieval.index.protocol import Vectors


def bare_ms(data_dir: Path, store_id: str, queries: Vectors) -> tuple[float, int]:
    """The median of one query after the other in a flat index, one thread, and how many vectors it has."""
    vectors = asyncio.run(_vectors(data_dir, store_id))
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    faiss.omp_set_num_threads(1)
    times = []
    for query in np.concatenate([queries[:5], queries]):  # the first warm it up
        start = time.perf_counter()
        index.search(query[None], K)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[5:]), len(vectors)


async def _vectors(data_dir: Path, store_id: str) -> Vectors:
    stored = Stored(data_dir, store_id)
    try:
        return await stored.vectors()
    finally:
        await stored.close()
