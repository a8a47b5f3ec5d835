"""Every way to rank, over the same index and the same questions: who stands where. It embeds nothing and reads no file.

A document may be cut into chunks that overlap, so that several hold the answer: each of them is relevant.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.collection import Collection, Entry, Query
from retrieval.evaluation.corpus import Question
from retrieval.evaluation.quality import Quality, Relevance, quality
from retrieval.index.protocol import Shape, Vectors
from retrieval.terms import terms

DEPTH = 50
"""How long a ranking is; measures look at its first ten."""
RERANKED = 30
"""How many of the hybrid ranking's first are read again by the reranker."""
MMR_LAMBDA = 0.7
LEXICAL, DENSE, HYBRID, RERANKED_HYBRID, MMR = "lexical", "dense", "hybrid", "hybrid + rerank", "hybrid, MMR 0.7"

Score = Callable[[str, Sequence[str]], Sequence[float]]
"""A question and texts to their scores, high is near."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk of the set: the document that it is of, its text and the vectors of its windows [n, d]."""

    package: str
    text: str
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one ranker did. `found` is of each question whether each place answers; `ms` the mean time of a question."""

    ranker: str
    quality: Quality
    found: tuple[Relevance, ...]
    ms: float


class Rankings:
    """The set in a real collection; the number of a chunk is its place in `passages`."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._collection = Collection(Shape(passages[0].vectors.shape[1]))
        entries = (Entry(place, each.vectors, terms(each.text), each.package) for place, each in enumerate(passages))
        self._collection.apply(1, entries)

    def outcome(self, ranker: str, asked: Sequence[tuple[Question, Vectors]], score: Score | None = None) -> Outcome:
        """Of questions that have an answer, with their vectors [d]; `score` is the reranker's.

        Raises:
            ValueError: no question has an answer in the set.
        """
        found: list[tuple[Relevance, int]] = []
        started_s = time.perf_counter()
        ranked = [self._ranked(ranker, question, vector, score) for question, vector in asked]
        taken_s = time.perf_counter() - started_s
        for (question, _), places in zip(asked, ranked, strict=True):
            relevant = sum(question.answered_by(each.package, each.text) for each in self._passages)
            hits = (self._passages[place] for place in places)
            found.append(([question.answered_by(each.package, each.text) for each in hits], relevant))
        measured = quality(found)
        return Outcome(ranker, measured, tuple(each for each, _ in found), 1000 * taken_s / len(asked))

    def _ranked(self, ranker: str, question: Question, vector: Vectors, score: Score | None) -> list[int]:
        words = terms(question.question)
        asked = {
            LEXICAL: Query(None, words, k=DEPTH),
            DENSE: Query(vector, (), k=DEPTH),
            MMR: Query(vector, words, k=DEPTH, mmr_lambda=MMR_LAMBDA),
        }.get(ranker, Query(vector, words, k=DEPTH))
        places = [hit.chunk_id for hit in self._collection.search(asked)]
        if ranker != RERANKED_HYBRID or score is None:
            return places
        first, rest = places[:RERANKED], places[RERANKED:]
        scores = np.asarray(score(question.question, [self._passages[place].text for place in first]))
        return [first[place] for place in np.argsort(-scores, kind="stable")] + rest
