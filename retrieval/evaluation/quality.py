"""Measures of a ranking, each of one question; a ranking is the places 1, 2, ... and which of them answer.

Recall@k and MRR as in TREC; nDCG with binary gains (Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR
techniques", 2002).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Relevance = Sequence[bool]
"""Whether the hit at each place answers, best place first."""


def recall_at(k: int, found: Relevance, relevant: int) -> float:
    """Which part of the `relevant` answers stands among the first k; 0 to 1."""
    return sum(found[:k]) / relevant


def reciprocal_rank(found: Relevance) -> float:
    """1 / the place of the first answer; 0 when there is none."""
    return next((1 / place for place, answers in enumerate(found, 1) if answers), 0.0)


def ndcg_at(k: int, found: Relevance, relevant: int) -> float:
    """Gains discounted by the logarithm of the place, over those of the best ranking; 0 to 1."""
    gained = sum(_gain(place) for place, answers in enumerate(found[:k], 1) if answers)
    return gained / sum(_gain(place) for place in range(1, min(k, relevant) + 1))


def _gain(place: int) -> float:
    return 1 / math.log2(place + 1)


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over questions. `recall` and `ndcg` by k."""

    questions: int
    recall: dict[int, float]
    ndcg: dict[int, float]
    mrr: float


def quality(rankings: Sequence[tuple[Relevance, int]], ks: Sequence[int] = (1, 5, 10)) -> Quality:
    """Of (ranking, number of relevant) pairs.

    Raises:
        ValueError: there is none, or one without anything relevant.
    """
    if not rankings or not all(relevant > 0 for _, relevant in rankings):
        raise ValueError("each question needs something relevant, and there must be one")
    count = len(rankings)
    return Quality(
        count,
        {k: sum(recall_at(k, found, relevant) for found, relevant in rankings) / count for k in ks},
        {k: sum(ndcg_at(k, found, relevant) for found, relevant in rankings) / count for k in ks},
        sum(reciprocal_rank(found) for found, _ in rankings) / count,
    )
