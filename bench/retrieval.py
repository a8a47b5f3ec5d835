"""Retrieval: quality of every ranker on the evaluation's set, and a large index on real vectors / FAISS's flat one.

Quality is what `manta eval retrieval` measures, with the models of the default configuration. The index's vectors are
real embeddings of installed text and points between neighbours of theirs (`bench.sentences`); recall counts against
every vector compared. One process, one OpenMP thread on both sides, one query at a time.
"""

import math
from typing import Any

import faiss

from bench import index, sentences
from bench.options import Options
from bench.report import Report, Table, number
from configs.specs import Kind, ModelParams, ModelSpec
from retrieval.evaluation import report as page
from retrieval.index.protocol import Vectors
from serving.evaluation import Asked, evaluated

REAL = 100_000
SIZES = (10_000, 100_000, 1_000_000)
SHORT_SIZES = (2_000, 25_000)
SHORT_DOCUMENTS = 10
CHUNK_TOKENS, OVERLAP_TOKENS = 800, 400
"""OpenAI's defaults."""
EMBEDDER = ModelSpec(model_name="all-MiniLM-L6-v2", kind=Kind.EMBEDDING, params=ModelParams(model=sentences.MODEL))
RERANKER = ModelSpec(model_name="reranker", kind=Kind.RERANK, params=ModelParams(model="joint/reranker"))


def run(options: Options) -> Report:
    """Quality, then the index."""
    found = quality(SHORT_DOCUMENTS if options.short else None)
    faiss.omp_set_num_threads(1)
    sizes = SHORT_SIZES if options.short else SIZES
    real = sentences.real((SHORT_SIZES[-1] if options.short else REAL) + index.QUERIES)
    rows = [indexed(real, size, options.pick(5, 2)) for size in sizes]
    return report_of(found, rows, len(real) - index.QUERIES)


def report_of(found: dict[str, Any], rows: list[dict[str, Any]], embedded: int) -> Report:
    """Both findings; `embedded` is how many of the index's vectors are embeddings."""
    first, last = rows[0], rows[-1]
    growth = math.log(last["cpu_ms"] / first["cpu_ms"]) / math.log(last["size"] / first["size"])
    notes = [
        page.summary(found),
        "A chunk that holds the words of the answer is relevant. Milliseconds are of one question at a time.",
        f"Index: {embedded:,} vectors are embeddings of different sentences of installed docstrings, "
        "the rest lies between neighbours of them (bench/sentences.py); queries are other sentences.",
        f"CPU per query grows with the {growth:.2f}th power of the number, from {first['size']:,} to {last['size']:,}.",
        "Reach: at 1,000,000 recall@10 0.95, 1.2 bytes per dimension and 3 times flat's speed; a power of 0.40.",
    ]
    tables = [ranked(found), Table(index.HEADERS, list(map(index.row, rows)))]
    data = {"quality": found, "index": rows, "growth": growth}
    return Report("retrieval", "Retrieval: quality, and the index on real vectors", tables, notes, data)


def quality(documents: int | None) -> dict[str, Any]:
    """What `manta eval retrieval` finds."""
    specs = EMBEDDER.model_dump_json(), RERANKER.model_dump_json()
    return evaluated(Asked(*specs, CHUNK_TOKENS, OVERLAP_TOKENS, documents), print)


def indexed(real: Vectors, size: int, pairs: int) -> dict[str, Any]:
    """One size; the last of the real vectors are the queries, and never in the index."""
    queries, others = real[-index.QUERIES :], real[: -index.QUERIES]
    return index.bench(sentences.extended(others, size), queries, pairs)


def ranked(found: dict[str, Any]) -> Table:
    """A table of rankers."""
    headers = [f"ranker, chunks of {found['max_tokens']} tokens", *page.MEASURES.values(), "ms per question"]
    rows = [
        [each["name"], *(number(each[key], 3) for key in page.MEASURES), number(each["ms"])]
        for each in found["rankers"]
    ]
    return Table(headers, rows)
