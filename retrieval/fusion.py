"""Rankings made into one: reciprocal rank fusion, and results that do not repeat each other. It knows no index."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

from retrieval.index.protocol import Vectors

RANK_CONSTANT = 60
"""Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet", SIGIR 2009."""

T = TypeVar("T", bound=Hashable)


def fuse(rankings: Sequence[Sequence[T]], weights: Sequence[float]) -> dict[T, float]:
    """Every item of any ranking (best first, none twice) and its fused score, best first.

    The score is the weighted mean of (c + 1) / (c + rank), so it is 1 for what leads every ranking, and 0 from a
    ranking that lacks it. Of equals, the one that came first in an earlier ranking leads.

    Raises:
        ValueError: a weight is negative, or all are 0, or their number is another.
    """
    total = float(sum(weights))
    if len(weights) != len(rankings) or min(weights, default=0.0) < 0 or not total > 0:
        raise ValueError("as many weights as rankings, none negative and not all 0")
    scores: dict[T, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        share = weight / total
        for rank, item in enumerate(ranking if weight else (), 1):
            scores[item] = scores.get(item, 0.0) + share * (RANK_CONSTANT + 1) / (RANK_CONSTANT + rank)
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))


def diversify(relevance: Sequence[float], vectors: Vectors, k: int, keep: float) -> list[int]:
    """At most k places of `relevance`, each time the one that is relevant and unlike those before it.

    Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): `keep` (lambda) 1 asks for relevance alone, 0 for
    difference alone; the most relevant is always the first. Vectors [n, d] have length 1.
    """
    worth = np.asarray(relevance, np.float64)
    likest = np.zeros(len(worth))
    free = np.ones(len(worth), bool)
    chosen: list[int] = []
    while len(chosen) < min(k, len(worth)):
        marginal = keep * worth - (1 - keep) * likest if chosen else worth
        chosen.append(int(np.where(free, marginal, -np.inf).argmax()))
        free[chosen[-1]] = False
        likeness = (vectors @ vectors[chosen[-1]]).astype(np.float64)
        likest = likeness if len(chosen) == 1 else np.maximum(likest, likeness)
    return chosen
