"""What is asked of a collection, and what it answers. It knows no index."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from configs.errors import BadRequest
from retrieval.bm25 import Counted, Numbers, Scored
from retrieval.filters import Filter, Mask
from retrieval.index import checks
from retrieval.index.protocol import Vectors

DEPTH = 5
"""How many times k each ranking brings to the fusion, and no fewer than LEAST_DEPTH."""
LEAST_DEPTH = 50

Spot = tuple[int, int]
"""The number of a part, and the place of a chunk in it."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: a vector [d], terms, or both; `weights` are those of the vector's and the terms' ranking.

    `threshold` leaves out what is less relevant (`Hit.score`); `mmr_lambda` from 0 to 1 asks for results that differ.
    `candidates` asks for all that the rankings bring, neither fused nor cut: what `retrieval.merging` puts together.
    """

    vector: Vectors | None = None
    terms: Sequence[str] = ()
    filter: Filter | None = None
    k: int = 10
    weights: tuple[float, float] = (1.0, 1.0)
    threshold: float = 0.0
    mmr_lambda: float | None = None
    candidates: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found. Hits come in order of `fused`, which tells rank and not relevance.

    All are from 0 to 1. `dense` is the cosine of its best window, 0 where it is negative; `lexical` its share of the
    BM25 score that a chunk could reach at most; `score` the better of both, whatever the other says. A candidate has
    `dense` as it was found, and no `fused`.
    """

    chunk_id: int
    fused: float
    dense: float
    lexical: float

    @property
    def score(self) -> float:
        """How relevant it is by itself, from 0 to 1."""
        return max(self.dense, self.lexical)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What ranks the candidates of one answer among those of other shards: a row for each, in their order.

    `often` [n, t] and `lengths` [n] are of their terms, `counted` is what the shard counts (None: no terms were asked
    for), `nearest` [n, d] the windows that answer best (None: nothing was asked to differ).
    """

    often: Numbers
    lengths: Numbers
    counted: Counted | None
    nearest: Vectors | None


class Candidates(list[Hit]):
    """The answer of one shard, in no order, with what ranks it among those of others; also where nothing was found."""

    def __init__(self, hits: Iterable[Hit], evidence: Evidence) -> None:
        super().__init__(hits)
        self.evidence = evidence


@dataclass(slots=True)
class Found:
    """A query at work: which chunks may answer (None: all), what the words say (None: there are none), and cosines.

    `vector` is of length 1 and None where it does not count; `depth` is how many each ranking brings.
    """

    query: Query
    vector: Vectors | None
    depth: int
    allowed: list[Mask] | None = None
    lexical: list[Scored] | None = None
    counted: Counted | None = None
    dense: dict[Spot, float] = field(default_factory=dict)


def by_vector(query: Query) -> bool:
    """Whether the vector ranks."""
    return query.vector is not None and query.weights[0] > 0


def by_words(query: Query) -> bool:
    """Whether the terms rank."""
    return bool(query.terms) and query.weights[1] > 0


def depth(query: Query) -> int:
    """How many each ranking brings: more than k where they are fused or thinned out."""
    wide = (by_vector(query) and by_words(query)) or query.mmr_lambda is not None
    return max(DEPTH * query.k, LEAST_DEPTH) if wide else query.k


def check(query: Query) -> int:
    """The query's k.

    Raises:
        BadRequest: weights that weigh nothing, or a number out of range.
    """
    if not 0 <= query.threshold <= 1:
        raise BadRequest("The score threshold is a number from 0 to 1.", param="score_threshold")
    if query.mmr_lambda is not None and not 0 <= query.mmr_lambda <= 1:
        raise BadRequest("'mmr_lambda' is a number from 0 to 1.", param="mmr_lambda")
    if not all(0 <= weight < np.inf for weight in query.weights) or not any(query.weights):
        raise BadRequest("Weights are numbers from 0 on, and not all 0.", param="weights")
    return checks.k(query.k)
