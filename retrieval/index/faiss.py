"""Indexes by FAISS: the one door to it. It knows no file, and it never brings torch along (both carry an OpenMP).

Rows are FAISS's own numbers; ids are the caller's. A flat index is kept dense: the last row moves into a hole. A graph
cannot lose a row, so its dead rows are passed over while searching, and it is built anew when they are too many.
"""

import threading
from array import array
from collections.abc import Callable
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt

from configs.errors import ConfigurationError
from retrieval.index.protocol import NO_ID, Device, Ids, Index, Kind, Metric, Shape, Vectors

LINKS = 32
BUILD_BREADTH = 200
SEARCH_BREADTH = 128
DEAD_ROWS = 1000
GPU_MAX_K = 2048
ROW_COUNT_BYTES = 8


def create(shape: Shape, device: Device = "auto") -> Index:
    """An empty index.

    Raises:
        ConfigurationError: a GPU is asked for and there is none.
    """
    return _on_device(shape, _empty(shape), array("q"), device)


def read(shape: Shape, read_bytes: Callable[[int], bytes], device: Device = "auto") -> Index:
    """What `dump` gave. The content must have been verified: FAISS trusts it."""
    rows = int.from_bytes(read_bytes(ROW_COUNT_BYTES), "little")
    ids = array("q", read_bytes(rows * 8))
    return _on_device(shape, faiss.read_index(faiss.PyCallbackIOReader(read_bytes)), ids, device)


def choose_device(asked: Device, kind: Kind, gpus: int) -> Literal["cpu", "gpu"]:
    """Where an index lives. Graphs stay on the CPU: FAISS does not move them.

    Raises:
        ConfigurationError: a GPU is asked for and there is none.
    """
    if asked == "gpu" and not gpus:
        msg = "search.device is 'gpu' and FAISS finds none; give the replica num_gpus and install faiss-gpu"
        raise ConfigurationError(msg)
    return "gpu" if gpus and asked != "cpu" and kind is Kind.FLAT else "cpu"


def gpus() -> int:
    """GPUs that this process may use; 0 with faiss-cpu."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def limit_threads(threads: int) -> None:
    """OpenMP threads of FAISS for calls of this thread."""
    faiss.omp_set_num_threads(threads)


class _Rows:
    """What all kinds share: ids beside FAISS's rows."""

    def __init__(self, shape: Shape, index: Any, ids: "array[int]") -> None:
        self.shape = shape
        self._index = index
        self._ids = ids
        self._rows = {id_: row for row, id_ in enumerate(ids) if id_ != NO_ID}

    @property
    def size(self) -> int:
        """See `Index`."""
        return len(self._rows)

    @property
    def device(self) -> str:
        """See `Index`."""
        return "cpu"

    def search(self, queries: Vectors, k: int) -> tuple[Ids, Vectors]:
        """See `Index`."""
        ids = np.full((len(queries), k), NO_ID, np.int64)
        scores = np.full((len(queries), k), self.shape.metric.worst, np.float32)
        if (width := min(k, self.size)) and len(queries):
            found, rows = self._nearest(_scaled(queries, self.shape), width)
            hit = rows >= 0
            ids[:, :width][hit] = np.frombuffer(self._ids, np.int64)[rows[hit]]
            scores[:, :width][hit] = found[hit]
        return ids, scores

    def dump(self, write: Callable[[bytes], object]) -> None:
        """See `Index`."""
        write(len(self._ids).to_bytes(ROW_COUNT_BYTES, "little"))
        write(self._ids.tobytes())
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(write, 1 << 20))

    def _nearest(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        found: tuple[Vectors, Ids] = self._index.search(queries, k)
        return found

    def _append(self, ids: list[int], vectors: Vectors) -> None:
        first = len(self._ids)
        self._index.add(vectors)
        self._ids.extend(ids)
        self._rows.update(zip(ids, range(first, len(self._ids)), strict=True))


class FlatIndex(_Rows):
    """Every vector is compared; exact."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See `Index`."""
        ids, vectors = _last_of_each(ids, _scaled(vectors, self.shape))
        rows = np.fromiter((self._rows.get(id_, NO_ID) for id_ in ids.tolist()), np.int64, len(ids))
        known = rows != NO_ID
        if known.any():
            self._matrix()[rows[known]] = vectors[known]
        if not known.all():
            self._append(ids[~known].tolist(), vectors[~known])

    def delete(self, ids: Ids) -> int:
        """See `Index`."""
        holes = {self._rows.pop(id_) for id_ in set(ids.tolist()) if id_ in self._rows}
        if not holes:
            return 0
        before, after = len(self._ids), len(self._ids) - len(holes)
        moved = [row for row in range(after, before) if row not in holes]
        filled = [row for row in holes if row < after]
        matrix = self._matrix()
        matrix[filled] = matrix[moved]
        for source, target in zip(moved, filled, strict=True):
            self._ids[target] = self._ids[source]
            self._rows[self._ids[target]] = target
        del self._ids[after:]
        self._index.remove_ids(faiss.IDSelectorRange(after, before))
        return len(holes)

    def _matrix(self) -> Vectors:
        return _matrix(self._index)


class GpuFlatIndex(FlatIndex):
    """A flat index whose searches run on the first GPU, on a copy that is made anew after a change.

    Unproven: written against FAISS's documentation and not run on a GPU so far.
    """

    def __init__(self, shape: Shape, index: Any, ids: "array[int]") -> None:
        super().__init__(shape, index, ids)
        self._resources = faiss.StandardGpuResources()
        self._copy: Any = None
        self._lock = threading.Lock()  # a GPU index takes one caller at a time

    @property
    def device(self) -> str:
        """See `Index`."""
        return "gpu"

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See `Index`."""
        self._copy = None
        super().add(ids, vectors)

    def delete(self, ids: Ids) -> int:
        """See `Index`."""
        self._copy = None
        return super().delete(ids)

    def _nearest(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        if k > GPU_MAX_K:
            return super()._nearest(queries, k)
        with self._lock:
            if self._copy is None:
                self._copy = faiss.index_cpu_to_gpu(self._resources, 0, self._index)
            found: tuple[Vectors, Ids] = self._copy.search(queries, k)
            return found


class HnswIndex(_Rows):
    """A graph of near neighbours (Malkov and Yashunin, arXiv:1603.09320); dead rows hold NO_ID."""

    def __init__(self, shape: Shape, index: Any, ids: "array[int]") -> None:
        super().__init__(shape, index, ids)
        self._alive: Any = None

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """See `Index`."""
        ids, vectors = _last_of_each(ids, _scaled(vectors, self.shape))
        self._kill(ids.tolist())
        if len(ids):
            self._append(ids.tolist(), vectors)
        self._tidy()

    def delete(self, ids: Ids) -> int:
        """See `Index`."""
        killed = self._kill(ids.tolist())
        self._tidy()
        return killed

    def _nearest(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        parameters = faiss.SearchParametersHNSW(efSearch=max(SEARCH_BREADTH, 2 * k))
        if self._alive is not None:
            selector = faiss.IDSelectorBitmap(self._alive)
            parameters = faiss.SearchParametersHNSW(efSearch=max(SEARCH_BREADTH, 2 * k), sel=selector)
        found: tuple[Vectors, Ids] = self._index.search(queries, k, params=parameters)
        return found

    def _kill(self, ids: list[int]) -> int:
        rows = [self._rows.pop(id_) for id_ in ids if id_ in self._rows]
        for row in rows:
            self._ids[row] = NO_ID
        return len(rows)

    def _tidy(self) -> None:
        dead = len(self._ids) - self.size
        if dead > max(DEAD_ROWS, self.size):
            self._rebuild()
        self._alive = _bits(self._ids) if len(self._ids) > self.size else None

    def _rebuild(self) -> None:
        alive = np.flatnonzero(np.frombuffer(self._ids, np.int64) != NO_ID)
        ids = np.frombuffer(self._ids, np.int64)[alive].tolist()
        vectors = _matrix(faiss.downcast_index(self._index.storage))[alive]
        self._index, self._ids, self._rows = _empty(self.shape), array("q"), {}
        if ids:
            self._append(ids, vectors)


def _empty(shape: Shape) -> Any:
    metric = faiss.METRIC_L2 if shape.metric is Metric.L2 else faiss.METRIC_INNER_PRODUCT
    if shape.kind is Kind.FLAT:
        return faiss.IndexFlat(shape.dimensions, metric)
    graph = faiss.IndexHNSWFlat(shape.dimensions, LINKS, metric)
    graph.hnsw.efConstruction = BUILD_BREADTH
    return graph


def _on_device(shape: Shape, index: Any, ids: "array[int]", device: Device) -> Index:
    if choose_device(device, shape.kind, gpus()) == "gpu":
        return GpuFlatIndex(shape, index, ids)
    return (FlatIndex if shape.kind is Kind.FLAT else HnswIndex)(shape, index, ids)


def _matrix(flat: Any) -> Vectors:
    """FAISS's own memory [rows, dimensions]; good until the next change."""
    memory: Vectors = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
    matrix: Vectors = memory.reshape(flat.ntotal, flat.d)
    return matrix


def _bits(ids: "array[int]") -> npt.NDArray[np.uint8]:
    return np.packbits(np.frombuffer(ids, np.int64) != NO_ID, bitorder="little")


def _scaled(vectors: Vectors, shape: Shape) -> Vectors:
    """Of length 1 where the metric is cosine; in float64, so that the squares of tiny numbers do not vanish."""
    if shape.metric is not Metric.COSINE:
        return vectors
    exact = vectors.astype(np.float64)
    scaled: Vectors = (exact / np.linalg.norm(exact, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def _last_of_each(ids: Ids, vectors: Vectors) -> tuple[Ids, Vectors]:
    places = {id_: place for place, id_ in enumerate(ids.tolist())}
    if len(places) == len(ids):
        return ids, vectors
    kept = list(places.values())
    return ids[kept], vectors[kept]
