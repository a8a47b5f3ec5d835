"""Questions to search and their answers as bytes, for whoever carries them between processes. It knows no index.

JSON: numbers of a vector are written so that the same float32 come out; many vectors go as base64 of theirs.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from retrieval.bm25 import Counted
from retrieval.filters import Comparison, Compound, Filter
from retrieval.query import Candidates, Evidence, Hit, Query

OPTIONS = orjson.OPT_SERIALIZE_NUMPY


@dataclass(frozen=True, slots=True)
class Question:
    """What `retrieval.finding.Finder` is asked."""

    store_id: str
    min_seq: int
    queries: list[Query]


def pack(store_id: str, min_seq: int, queries: Sequence[Query]) -> bytes:
    """A question."""
    return orjson.dumps([store_id, min_seq, [_plain(query) for query in queries]], option=OPTIONS)


def unpack(packed: bytes) -> Question:
    """What `pack` packed."""
    store_id, min_seq, queries = orjson.loads(packed)
    return Question(store_id, min_seq, [_query(*query) for query in queries])


def pack_hits(found: Sequence[Sequence[Hit]]) -> bytes:
    """The answer to each query."""
    return orjson.dumps([_told(hits) for hits in found], option=OPTIONS)


def unpack_hits(packed: bytes) -> list[list[Hit]]:
    """What `pack_hits` packed."""
    return [_hits(*each) for each in orjson.loads(packed)]


def _told(hits: Sequence[Hit]) -> list[Any]:
    scores = [(hit.chunk_id, hit.fused, hit.dense, hit.lexical) for hit in hits]
    if not isinstance(hits, Candidates):
        return [scores, None]
    evidence = hits.evidence
    counted, nearest = evidence.counted, evidence.nearest
    counts = None if counted is None else (counted.living, counted.terms, counted.holders)
    vectors = None if nearest is None else b64encode(nearest.astype("<f4").tobytes()).decode()
    return [scores, (evidence.often, evidence.lengths, counts, vectors)]


def _hits(scores: Sequence[Sequence[Any]], told: Sequence[Any] | None) -> list[Hit]:
    hits = [Hit(chunk_id, fused, dense, lexical) for chunk_id, fused, dense, lexical in scores]
    return hits if told is None else Candidates(hits, _evidence(len(scores), *told))


def _evidence(count: int, often: Any, lengths: Any, counts: Any, nearest: Any) -> Evidence:  # noqa: ANN401  JSON
    counted = None if counts is None else Counted(counts[0], counts[1], tuple(counts[2]))
    shape = (count, -1 if count else 0)
    vectors = None if nearest is None else np.frombuffer(b64decode(nearest), "<f4").reshape(shape)
    return Evidence(np.array(often, np.int32).reshape(shape), np.array(lengths, np.int32), counted, vectors)


def _plain(query: Query) -> list[Any]:
    vector = None if query.vector is None else np.ascontiguousarray(query.vector, np.float32)
    return [
        vector,
        query.terms,
        query.filter,
        query.k,
        query.weights,
        query.threshold,
        query.mmr_lambda,
        query.candidates,
    ]


def _query(
    vector: list[float] | None,
    terms: list[str],
    told: Mapping[str, Any] | None,
    k: int,
    weights: list[float],
    threshold: float,
    mmr_lambda: float | None,
    candidates: bool,
) -> Query:
    return Query(
        vector=None if vector is None else np.array(vector, np.float32),
        terms=terms,
        filter=None if told is None else _filter(told),
        k=k,
        weights=(weights[0], weights[1]),
        threshold=threshold,
        mmr_lambda=mmr_lambda,
        candidates=candidates,
    )


def _filter(told: Mapping[str, Any]) -> Filter:
    if "parts" in told:
        return Compound(told["every"], tuple(map(_filter, told["parts"])))
    return Comparison(told["key"], told["test"], tuple(told["values"]), told["negated"])
