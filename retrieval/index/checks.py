"""What callers hand over, made into arrays an index can take, or refused."""

from typing import Any

import numpy as np

from configs.errors import BadRequest
from retrieval.index.protocol import Ids, Metric, Shape, Vectors

MAX_K = 1000
MAX_BATCH = 100_000
TABLE = 2
"""Rows and columns."""


def vectors_of(value: Any, shape: Shape) -> Vectors:
    """Float32 [n, dimensions], finite; of length 1 where the metric is cosine.

    Raises:
        BadRequest: wrong shape, wrong type, NaN or infinity, a zero vector under cosine, or too many.
    """
    try:
        vectors = np.ascontiguousarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BadRequest("Vectors must be lists of numbers, all of one length.", param="vectors") from error
    if vectors.ndim != TABLE or vectors.shape[1] != shape.dimensions:
        raise BadRequest(f"Each vector must have {shape.dimensions} numbers.", param="vectors")
    if len(vectors) > MAX_BATCH:
        raise BadRequest(f"At most {MAX_BATCH} vectors are taken at once.", param="vectors")
    if not np.isfinite(vectors).all():
        raise BadRequest("Vectors must hold finite numbers only.", param="vectors")
    return _unit(vectors) if shape.metric is Metric.COSINE else vectors


def ids_of(value: Any, count: int | None = None) -> Ids:
    """Int64 [n], each once and not negative.

    Raises:
        BadRequest: they are not.
    """
    ids = np.asarray(value)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise BadRequest("Ids must be a list of whole numbers.", param="ids")
    if count is not None and len(ids) != count:
        raise BadRequest(f"There are {len(ids)} ids for {count} vectors.", param="ids")
    ids = np.ascontiguousarray(ids, dtype=np.int64)
    if ids.size and ids.min() < 0:
        raise BadRequest("Ids must be between 0 and 2**63 - 1.", param="ids")
    if len(np.unique(ids)) != len(ids):
        raise BadRequest("An id may be given once.", param="ids")
    return ids


def k_of(k: int) -> int:
    """A number of neighbours within bounds.

    Raises:
        BadRequest: it is not.
    """
    if not 1 <= k <= MAX_K:
        raise BadRequest(f"'k' must be 1 to {MAX_K}.", param="k")
    return k


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if vectors.size and lengths.min() == 0:
        raise BadRequest("A vector of zeros has no direction to compare.", param="vectors")
    unit: Vectors = vectors / lengths
    return unit
