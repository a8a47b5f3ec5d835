"""The candidates of a store's shards put together, and ranked as one collection would rank them. It knows no index.

Each shard brings what leads its own rankings, as deep as one collection looks, and, also where that is nothing, what
BM25 counts in it; words are scored anew by the counts of all. So the result is that of one collection, but for words
that a shard ranks otherwise than all do together, far down its ranking.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from retrieval import bm25, fusion
from retrieval.bm25 import Counted
from retrieval.index.protocol import Ids, Vectors
from retrieval.query import Candidates, Evidence, Hit, Query, by_vector, by_words, depth


def for_shards(query: Query) -> Query:
    """What each shard is asked, so that `merged` can answer the query."""
    return replace(query, candidates=True)


def merged(query: Query, found: Sequence[Sequence[Hit]]) -> list[Hit]:
    """At most k hits, best first, from what each shard answered to `for_shards(query)`."""
    hits, evidence = [hit for answer in found for hit in answer], [_evidence(answer) for answer in found]
    if not hits:
        return []
    dense = np.array([hit.dense for hit in hits], np.float32)
    lexical = _lexical(query, evidence)
    fused = _fused(query, np.array([hit.chunk_id for hit in hits]), dense, lexical)
    ranked = ((row, _hit(hits[row], score, float(lexical[row]))) for row, score in fused.items())
    relevant = ((row, hit) for row, hit in ranked if hit.score >= query.threshold)
    if query.mmr_lambda is None:
        return [hit for _, hit in islice(relevant, query.k)]
    return _different(query, relevant, np.concatenate([each.nearest for each in evidence if each.nearest is not None]))


def _evidence(answer: Sequence[Hit]) -> Evidence:
    assert isinstance(answer, Candidates), "a shard was not asked for candidates"
    return answer.evidence


def _fused(query: Query, ids: Ids, dense: Vectors, lexical: Vectors) -> dict[int, float]:
    """Rows and their fused scores, best first; of equals in a ranking the smaller id leads."""
    by_id, rankings, weights = np.argsort(ids), [], []
    if by_vector(query):
        rankings.append(by_id[np.argsort(-dense[by_id], kind="stable")])
        weights.append(query.weights[0])
    if by_words(query):
        worded = by_id[lexical[by_id] > 0]
        rankings.append(worded[np.argsort(-lexical[worded], kind="stable")])
        weights.append(query.weights[1])
    deep = depth(query)
    return fusion.fuse([ranking[:deep].tolist() for ranking in rankings], weights) if rankings else {}


def _lexical(query: Query, evidence: Sequence[Evidence]) -> Vectors:
    """What the words of each row say by the counts of all; zeros where there are none."""
    lengths = np.concatenate([each.lengths for each in evidence])
    counts = [each.counted for each in evidence if each.counted is not None]
    if not counts or not query.terms:
        return np.zeros(len(lengths), np.float32)
    counted = _summed(counts)
    held = np.concatenate([each.often for each in evidence if len(each.often)])
    share: Vectors = bm25.scores_of(counted, query.terms, held, lengths)
    return share / np.float32(sum(counted.weights(query.terms)) or 1)


def _summed(counts: Sequence[Counted]) -> Counted:
    holders = tuple(sum(each) for each in zip(*(counted.holders for counted in counts), strict=True))
    return Counted(sum(counted.living for counted in counts), sum(counted.terms for counted in counts), holders)


def _different(query: Query, relevant: Iterator[tuple[int, Hit]], nearest: Vectors) -> list[Hit]:
    pairs = list(relevant)
    if not pairs or query.mmr_lambda is None:
        return []
    scores, rows = [hit.score for _, hit in pairs], [row for row, _ in pairs]
    return [pairs[place][1] for place in fusion.diversify(scores, nearest[rows], query.k, query.mmr_lambda)]


def _hit(found: Hit, fused: float, lexical: float) -> Hit:
    return Hit(found.chunk_id, min(fused, 1.0), min(max(found.dense, 0.0), 1.0), min(lexical, 1.0))
