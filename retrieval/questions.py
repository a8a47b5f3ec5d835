"""Questions to search and their answers as bytes, for whoever carries them between processes. It knows no index.

JSON: numbers of a vector are written so that the same float32 come out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from retrieval.filters import Comparison, Compound, Filter
from retrieval.query import Hit, Query

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
    return orjson.dumps([[(hit.chunk_id, hit.fused, hit.dense, hit.lexical) for hit in hits] for hits in found])


def unpack_hits(packed: bytes) -> list[list[Hit]]:
    """What `pack_hits` packed."""
    return [[Hit(*hit) for hit in hits] for hits in orjson.loads(packed)]


def _plain(query: Query) -> list[Any]:
    vector = None if query.vector is None else np.ascontiguousarray(query.vector, np.float32)
    return [vector, query.terms, query.filter, query.k, query.weights, query.threshold, query.mmr_lambda]


def _query(
    vector: list[float] | None,
    terms: list[str],
    told: Mapping[str, Any] | None,
    k: int,
    weights: list[float],
    threshold: float,
    mmr_lambda: float | None,
) -> Query:
    return Query(
        vector=None if vector is None else np.array(vector, np.float32),
        terms=terms,
        filter=None if told is None else _filter(told),
        k=k,
        weights=(weights[0], weights[1]),
        threshold=threshold,
        mmr_lambda=mmr_lambda,
    )


def _filter(told: Mapping[str, Any]) -> Filter:
    if "parts" in told:
        return Compound(told["every"], tuple(map(_filter, told["parts"])))
    return Comparison(told["key"], told["test"], tuple(told["values"]), told["negated"])
