"""The words of vector search: what an index offers and what comes back. A contract for CPU and GPU alike."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class Metric(StrEnum):
    """How two vectors are compared. Higher scores are nearer; of `l2` the score is the negative squared distance."""

    COSINE = "cosine"
    INNER_PRODUCT = "ip"
    L2 = "l2"


@dataclass(frozen=True, slots=True)
class Shape:
    """What all vectors of an index share."""

    dimensions: int
    metric: Metric = Metric.COSINE


@dataclass(frozen=True, slots=True)
class Found:
    """Per query the nearest ids and their scores, best first, both [queries, k]; -1 where there were fewer than k."""

    ids: Ids
    scores: Vectors


class VectorIndex(Protocol):
    """An index in memory. One thread at a time; inputs were checked by `retrieval.index.checks`."""

    shape: Shape

    @property
    def size(self) -> int:
        """How many vectors it holds."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Put vectors [n, dimensions] under ids [n]; an id that is there is replaced."""

    def delete(self, ids: Ids) -> int:
        """Take ids out; how many were there."""

    def search(self, queries: Vectors, k: int) -> Found:
        """The k nearest of each query [n, dimensions]."""

    def dump(self) -> bytes:
        """The whole index, for `restore` of any class."""
