"""The words of vector search: vectors, what holds them, and where that may live. It knows no library and no file."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from configs.errors import BadRequest

Ids = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint8]
Device = Literal["auto", "cpu", "gpu"]
"""`auto` takes a GPU where there is one."""
Place = Literal["cpu", "gpu"]

MAX_DIMENSIONS = 16384
MAX_K = 10_000


@dataclass(frozen=True, slots=True)
class Shape:
    """What is fixed when an index is made; nearness is the cosine.

    Raises:
        BadRequest: dimensions out of range.
    """

    dimensions: int

    def __post_init__(self) -> None:
        if type(self.dimensions) is not int or not 1 <= self.dimensions <= MAX_DIMENSIONS:
            raise BadRequest(f"'dimensions' is a whole number from 1 to {MAX_DIMENSIONS}.", param="dimensions")


class Segment(Protocol):
    """Searches may run side by side; a change runs alone."""

    @property
    def rows(self) -> int:
        """How many it holds."""

    def nearest(self, query: Vectors, k: int, bits: Bits | None) -> tuple[Ids, Vectors]:
        """At most k rows and their inner products with query [d], best first; of rows whose bit is set."""

    def nearest_to_each(self, queries: Vectors, k: int, bits: Bits | None) -> list[tuple[Ids, Vectors]]:
        """`nearest` for each of queries [n, d], which is cheaper than one after the other."""

    def vectors(self, rows: Ids) -> Vectors:
        """Those rows [n, d], as near to what was entered as they are kept."""

    def state(self) -> dict[str, bytes]:
        """The whole content, by name."""

    @property
    def memory_bytes(self) -> int:
        """What it takes in memory, about."""
