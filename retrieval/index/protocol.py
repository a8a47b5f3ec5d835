"""The words of vector search: what an index is asked and what it answers. It knows no library and no file."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from configs.errors import BadRequest

Ids = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Device = Literal["auto", "cpu", "gpu"]

NO_ID = -1
MAX_DIMENSIONS = 16384
MAX_K = 10_000


class Metric(StrEnum):
    """How near two vectors are. Scores of cosine and ip fall with the distance, those of l2 rise with it."""

    COSINE = "cosine"
    IP = "ip"
    L2 = "l2"

    @property
    def worst(self) -> float:
        """The score beside NO_ID."""
        return np.inf if self is Metric.L2 else -np.inf


class Kind(StrEnum):
    """Flat compares with every vector and is exact. Hnsw walks a graph: faster on many vectors, and may miss some."""

    FLAT = "flat"
    HNSW = "hnsw"


@dataclass(frozen=True, slots=True)
class Shape:
    """What is fixed when an index is made.

    Raises:
        BadRequest: dimensions out of range.
    """

    dimensions: int
    metric: Metric = Metric.COSINE
    kind: Kind = Kind.FLAT

    def __post_init__(self) -> None:
        if type(self.dimensions) is not int or not 1 <= self.dimensions <= MAX_DIMENSIONS:
            raise BadRequest(f"'dimensions' is a whole number from 1 to {MAX_DIMENSIONS}.", param="dimensions")

    @classmethod
    def of(cls, dimensions: int, metric: str, kind: str) -> Self:
        """From a request's words.

        Raises:
            BadRequest: an unknown metric or kind, or dimensions out of range.
        """
        for name, word, values in (("metric", metric, Metric), ("kind", kind, Kind)):
            if word not in list(values):
                raise BadRequest(f"'{name}' is one of {', '.join(values)}.", param=name)
        return cls(dimensions, Metric(metric), Kind(kind))


class Index(Protocol):
    """Vectors by id. Searches may run side by side; a change runs alone. Inputs were checked (`checks`)."""

    @property
    def shape(self) -> Shape:
        """Dimensions, metric and kind."""

    @property
    def size(self) -> int:
        """How many ids it holds."""

    @property
    def device(self) -> str:
        """Where searches run: cpu or gpu."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Enter vectors [n, dimensions]; an id that is there gets the new one, and of two equal ids the last wins."""

    def delete(self, ids: Ids) -> int:
        """Remove ids; those that are not there are passed over. Returns how many went."""

    def search(self, queries: Vectors, k: int) -> tuple[Ids, Vectors]:
        """Ids and scores [n, k], best first; NO_ID and the metric's worst score where there are fewer.

        The score is the inner product (of vectors scaled to length 1 for cosine) or the squared distance (l2).
        """

    def dump(self, write: Callable[[bytes], object]) -> None:
        """Give the whole content to `write`, piece by piece."""
