"""The words of vector search: what vectors are, and where an index may live. It knows no library and no file."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from configs.errors import BadRequest

Ids = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
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
