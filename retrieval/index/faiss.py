"""The only door to FAISS: an exact index on a CPU, and the same one searched on a GPU.

Exact means flat: every vector is compared. `bench/search.py` says what that costs.
"""

import faiss
import numpy as np

from configs.errors import ConfigurationError
from retrieval.index.protocol import Found, Ids, Metric, Shape, Vectors

MISSING = -1


class CpuIndex:
    """`IndexIDMap2` over a flat index. See `VectorIndex`."""

    def __init__(self, shape: Shape, inner: faiss.Index | None = None) -> None:
        self.shape = shape
        self._index = inner if inner is not None else faiss.IndexIDMap2(_flat(shape))

    @classmethod
    def restore(cls, shape: Shape, content: bytes) -> "CpuIndex":
        """From what `dump` gave."""
        return cls(shape, faiss.deserialize_index(np.frombuffer(content, dtype=np.uint8)))

    @property
    def size(self) -> int:
        """See `VectorIndex`."""
        return int(self._index.ntotal)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See `VectorIndex`."""
        if len(ids):
            self.delete(ids)
            self._index.add_with_ids(vectors, ids)

    def delete(self, ids: Ids) -> int:
        """See `VectorIndex`; takes time in proportion to the size of the index."""
        return int(self._index.remove_ids(faiss.IDSelectorBatch(ids))) if len(ids) and self.size else 0

    def search(self, queries: Vectors, k: int) -> Found:
        """See `VectorIndex`."""
        return _found(*self._index.search(queries, k), self.shape)

    def dump(self) -> bytes:
        """See `VectorIndex`."""
        content: bytes = faiss.serialize_index(self._index).tobytes()
        return content

    @property
    def inner(self) -> faiss.Index:
        """The FAISS object, for a copy on another device."""
        return self._index


class GpuIndex:
    """A CPU index that is searched on a GPU: changes go to the CPU's, the next search copies it over.

    Written against FAISS's documentation of `index_cpu_to_gpu`; not yet run on a GPU.
    """

    def __init__(self, shape: Shape, truth: CpuIndex | None = None) -> None:
        self.shape = shape
        self._truth = truth or CpuIndex(shape)
        self._resources = faiss.StandardGpuResources()
        self._copy: faiss.Index | None = None

    @classmethod
    def restore(cls, shape: Shape, content: bytes) -> "GpuIndex":
        """From what `dump` gave."""
        return cls(shape, CpuIndex.restore(shape, content))

    @property
    def size(self) -> int:
        """See `VectorIndex`."""
        return self._truth.size

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See `VectorIndex`."""
        self._copy = None
        self._truth.add(ids, vectors)

    def delete(self, ids: Ids) -> int:
        """See `VectorIndex`."""
        self._copy = None
        return self._truth.delete(ids)

    def search(self, queries: Vectors, k: int) -> Found:
        """See `VectorIndex`."""
        if self._copy is None:
            self._copy = faiss.index_cpu_to_gpu(self._resources, 0, self._truth.inner)
        return _found(*self._copy.search(queries, k), self.shape)

    def dump(self) -> bytes:
        """See `VectorIndex`."""
        return self._truth.dump()


def index_class(device: str, gpus: int | None = None) -> type[CpuIndex] | type[GpuIndex]:
    """The class for `device` (auto, cpu or gpu); `gpus` is how many FAISS sees.

    Raises:
        ConfigurationError: a GPU is wanted and FAISS sees none.
    """
    seen = faiss.get_num_gpus() if gpus is None else gpus
    if device == "gpu" and not seen:
        raise ConfigurationError("search wants 'device: gpu', but this FAISS sees no GPU; use 'auto' or 'cpu'")
    return GpuIndex if seen and device != "cpu" else CpuIndex


def use_threads(count: int) -> None:
    """How many threads one search may take."""
    faiss.omp_set_num_threads(count)


def _flat(shape: Shape) -> faiss.Index:
    return faiss.IndexFlatL2(shape.dimensions) if shape.metric is Metric.L2 else faiss.IndexFlatIP(shape.dimensions)


def _found(scores: Vectors, ids: Ids, shape: Shape) -> Found:
    """FAISS fills up with -1 and the largest float; a distance becomes a score by its sign."""
    scores = -scores if shape.metric is Metric.L2 else scores
    return Found(ids, np.where(ids == MISSING, -np.inf, scores).astype(np.float32))
