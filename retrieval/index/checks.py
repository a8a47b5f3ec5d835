"""Arrays as an index wants them, or a BadRequest that says what is wrong. It knows no index."""

import numpy as np
import numpy.typing as npt

from configs.errors import BadRequest
from retrieval.index.protocol import MAX_K, Shape, Vectors

LARGEST = 1e15
"""Above it, a product of two vectors could leave the range of float32 (3.4e38) at MAX_DIMENSIONS."""


def vectors(given: npt.ArrayLike, shape: Shape, param: str = "vectors") -> Vectors:
    """Vectors [n, dimensions] as float32, in a row after each other.

    Raises:
        BadRequest: another dimension, not numbers, not finite, too large, or of length 0, which has no cosine.
    """
    array = _array(given, param)
    if array.shape != (len(array) if array.ndim else 0, shape.dimensions):
        raise BadRequest(f"'{param}' is a list of vectors with {shape.dimensions} numbers each.", param=param)
    if array.dtype.kind not in "fiu":
        raise BadRequest(f"'{param}' holds something that is not a number.", param=param)
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(array, np.float32)
    if found.size and not (found.max() <= LARGEST and found.min() >= -LARGEST):  # a NaN is neither
        raise BadRequest(f"'{param}' holds a number that is not finite or above {LARGEST:g}.", param=param)
    if not found.any(axis=1).all():
        raise BadRequest(f"'{param}' holds a vector of length 0, which has no cosine.", param=param)
    return found


def width(given: Vectors, shape: Shape, param: str = "vectors") -> None:
    """Refuse vectors that could not stand in a row with others of their shape.

    Raises:
        BadRequest: they are of another dimension.
    """
    if given.shape[1:] != (shape.dimensions,):
        raise BadRequest(f"'{param}' is a list of vectors with {shape.dimensions} numbers each.", param=param)


def k(given: object) -> int:
    """How many neighbours.

    Raises:
        BadRequest: not a whole number from 1 to MAX_K.
    """
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or not 1 <= given <= MAX_K:
        raise BadRequest(f"'k' is a whole number from 1 to {MAX_K}.", param="k")
    return int(given)


def _array(given: npt.ArrayLike, param: str) -> npt.NDArray[np.generic]:
    try:
        return np.asarray(given)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"'{param}' is not a regular list of numbers.", param=param) from error
