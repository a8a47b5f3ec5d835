"""The candidates of a store's shards put together, and ranked as one collection would rank them. It knows no index.

Each shard brings what leads its own rankings, as deep as one collection looks, and what BM25 counts in it; words are
scored anew by the counts of all. So the result is that of one collection, but for words that a shard ranks otherwise
than all do together, far down its ranking.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from retrieval import bm25, fusion
from retrieval.bm25 import Counted
from retrieval.query import Evidence, Hit, Query, by_vector, by_words, depth


def for_shards(query: Query) -> Query:
    """What each shard is asked, so that `merged` can answer the query."""
    return replace(query, candidates=True)


def merged(query: Query, found: Sequence[Sequence[Hit]]) -> list[Hit]:
    """At most k hits, best first, from what each shard answered to `for_shards(query)`."""
    hits = _scored(query, found)
    rankings, weights = [], []
    if by_vector(query):
        rankings.append(sorted(hits, key=lambda hit: -hit.dense))
        weights.append(query.weights[0])
    if by_words(query):
        rankings.append(sorted((hit for hit in hits if hit.lexical > 0), key=lambda hit: -hit.lexical))
        weights.append(query.weights[1])
    deep, by_id = depth(query), {hit.chunk_id: hit for hit in hits}
    ids = [[hit.chunk_id for hit in ranking[:deep]] for ranking in rankings]
    fused = fusion.fuse(ids, weights) if rankings else {}
    ranked = [_bounded(by_id[chunk_id], score) for chunk_id, score in fused.items()]
    ranked = [hit for hit in ranked if hit.score >= query.threshold]
    return [replace(hit, evidence=None) for hit in _chosen(query, ranked)]


def _scored(query: Query, found: Sequence[Sequence[Hit]]) -> list[Hit]:
    """All candidates, in the order of their ids, with the scores that their words have among all."""
    hits = sorted((hit for answer in found for hit in answer), key=lambda hit: hit.chunk_id)
    counts = [counted for answer in found if answer and (counted := _evidence(answer[0]).counted) is not None]
    if not counts or not query.terms:
        return hits
    counted = _summed(counts, len(found))
    held = np.stack([_evidence(hit).often for hit in hits])
    lengths = np.array([_evidence(hit).length for hit in hits], np.int32)
    most = sum(counted.weights(query.terms)) or 1
    scores = (bm25.scores_of(counted, query.terms, held, lengths) / np.float32(most)).tolist()
    return [replace(hit, lexical=score) for hit, score in zip(hits, scores, strict=True)]


def _summed(counts: Sequence[Counted], shards: int) -> Counted:
    """Of all; a shard without candidates tells nothing, and holds as much as another one."""
    holders = tuple(sum(each) for each in zip(*(counted.holders for counted in counts), strict=True))
    living, terms = sum(counted.living for counted in counts), sum(counted.terms for counted in counts)
    return Counted(living * shards // len(counts), terms * shards // len(counts), holders)


def _chosen(query: Query, ranked: Sequence[Hit]) -> Sequence[Hit]:
    """The first k, or those that differ."""
    if query.mmr_lambda is None or not ranked:
        return ranked[: query.k]
    vectors = np.stack([nearest for hit in ranked if (nearest := _evidence(hit).nearest) is not None])
    places = fusion.diversify([hit.score for hit in ranked], vectors, query.k, query.mmr_lambda)
    return [ranked[place] for place in places]


def _bounded(hit: Hit, fused: float) -> Hit:
    return replace(hit, fused=min(fused, 1.0), dense=min(max(hit.dense, 0.0), 1.0), lexical=min(hit.lexical, 1.0))


def _evidence(hit: Hit) -> Evidence:
    assert hit.evidence is not None  # who asks for candidates gets them
    return hit.evidence
