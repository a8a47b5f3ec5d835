"""Vectors of length 1 by row, behind one contract: flat ones that grow, and a quantized index that is made at once.

The one door to FAISS, which never brings torch along (both carry an OpenMP). It knows no id and no chunk; who deletes a
row leaves it out by a bitmap of rows that count.
"""

import functools
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Self

import faiss
import numpy as np

from configs.errors import ConfigurationError
from retrieval.index.choice import EXACT_ROWS, PER_LIST, SUBSPACE, Plan
from retrieval.index.codec import Codec
from retrieval.index.protocol import Bits, Device, Ids, Place, Segment, Vectors

log = logging.getLogger(__name__)

Source = Callable[[int, int], Vectors]

CANDIDATES = 20
"""How many times k the 4-bit scan hands on, and no fewer than FEWEST."""
FEWEST = 500
BATCH = 10_000
TRAINED = 64
"""Vectors per group that training looks at."""
ROUNDS = 10
"""Of k-means; the 15 more of the default move groups by little."""
GROWN = 2
"""Groups are learned anew when there are so many times more vectors, or fewer, than they were learned from."""


GPU_MAX_K = 2048
GPU_SCRATCH_BYTES = 256 * 1024 * 1024
_GPU_TURN = threading.Lock()
"""A GPU's resources take one caller at a time."""


def limit_threads(threads: int) -> None:
    """OpenMP threads of FAISS for calls of this thread."""
    faiss.omp_set_num_threads(threads)


def gpus() -> int:
    """GPUs that this process may use; 0 with faiss-cpu."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0


def choose_place(asked: Device, gpus: int) -> Place:
    """Where flat indexes are searched.

    Raises:
        ConfigurationError: a GPU is asked for and there is none.
    """
    if asked == "gpu" and not gpus:
        msg = "search.device is 'gpu' and FAISS finds none; give the replica num_gpus and install faiss-gpu"
        raise ConfigurationError(msg)
    return "gpu" if gpus and asked != "cpu" else "cpu"


class FlatSegment:
    """Every vector as it came; grows."""

    def __init__(self, dimensions: int) -> None:
        self._index = faiss.IndexFlatIP(dimensions)

    @property
    def rows(self) -> int:
        """See `Segment`."""
        return int(self._index.ntotal)

    def add(self, vectors: Vectors) -> None:
        """Enter vectors [n, d] behind the last."""
        self._index.add(vectors)

    def nearest(self, query: Vectors, k: int, bits: Bits | None) -> tuple[Ids, Vectors]:
        """See `Segment`; exact."""
        return self.nearest_to_each(query[None], k, bits)[0]

    def nearest_to_each(self, queries: Vectors, k: int, bits: Bits | None) -> list[tuple[Ids, Vectors]]:
        """See `Segment`; exact."""
        if not self.rows:
            return [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
        parameters = None if bits is None else faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        scores, rows = self._index.search(queries, min(k, self.rows), params=parameters)
        return [(each[each >= 0], near[each >= 0]) for each, near in zip(rows, scores, strict=True)]

    def vectors(self, rows: Ids) -> Vectors:
        """See `Segment`; exact."""
        memory = faiss.rev_swig_ptr(self._index.get_xb(), self._index.ntotal * self._index.d)
        chosen: Vectors = memory.reshape(self.rows, self._index.d)[rows]
        return chosen

    def state(self) -> dict[str, bytes]:
        """See `Segment`."""
        return {"flat": self.vectors(np.arange(self.rows)).tobytes()}

    @property
    def memory_bytes(self) -> int:
        """See `Segment`."""
        return 4 * self.rows * int(self._index.d)

    @classmethod
    def restored(cls, dimensions: int, state: Mapping[str, bytes]) -> Self:
        """What `state` gave."""
        segment = cls(dimensions)
        segment.add(np.frombuffer(state["flat"], np.float32).reshape(-1, dimensions))
        return segment


class GpuFlatSegment(FlatSegment):
    """A flat index of which the first GPU has a copy where that pays; what a filter restricts stays on the CPU.

    Unproven: written against FAISS's documentation and not run on a GPU so far.
    """

    def __init__(self, dimensions: int) -> None:
        super().__init__(dimensions)
        self._copy: Any = None

    def add(self, vectors: Vectors) -> None:
        """See `FlatSegment`; the copy is made anew at the next search."""
        self._copy = None
        super().add(vectors)

    def nearest_to_each(self, queries: Vectors, k: int, bits: Bits | None) -> list[tuple[Ids, Vectors]]:
        """See `Segment`; exact."""
        if bits is not None or k > GPU_MAX_K or self.rows <= EXACT_ROWS:
            return super().nearest_to_each(queries, k, bits)
        try:
            with _GPU_TURN:
                if self._copy is None:
                    self._copy = faiss.index_cpu_to_gpu(_gpu(), 0, self._index)
                scores, rows = self._copy.search(queries, min(k, self.rows))
        except RuntimeError as error:
            log.warning("the GPU does not take %d vectors, the CPU searches them: %s", self.rows, error)
            return super().nearest_to_each(queries, k, bits)
        return list(zip(rows, scores, strict=True))


@functools.cache
def _gpu() -> Any:
    """One for all indexes: each would set scratch memory aside."""
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(GPU_SCRATCH_BYTES)
    return resources


class QuantizedSegment:
    """Groups, a scan of 4-bit codes and a comparison by 8-bit numbers (`choice`); does not grow."""

    def __init__(self, index: Any, codec: Codec, codes: Bits, probes: int, learned: int | None = None) -> None:
        self._index = index
        self.learned = len(codes) if learned is None else learned  # from how many vectors
        self.probes = probes
        self._codes = codes
        self.codec = codec

    @classmethod
    def built(
        cls, source: Source, rows: int, dimensions: int, plan: Plan, former: "QuantizedSegment | None" = None
    ) -> Self:
        """Of rows that `source(first, end)` gives [end - first, d].

        What `former` learned, ranges and groups, is kept where it fits: training costs more than all the rest.
        """
        parts = [(first, min(first + BATCH, rows)) for first in range(0, rows, BATCH)]
        ranges = [(part.min(axis=0), part.max(axis=0)) for part in (source(*part) for part in parts)]
        low, high = np.min([each[0] for each in ranges], axis=0), np.max([each[1] for each in ranges], axis=0)
        kept = former.codec if former is not None and former.codec.holds(low, high) else Codec.over(low, high)
        if former is not None and former.knows(rows):
            index, probes, learned = former.emptied(), former.probes, former.learned
        else:
            index, probes, learned = _trained(source, rows, dimensions, plan), plan.probes, rows
        codes = np.empty((rows, dimensions), np.uint8)
        for first, end in parts:
            vectors = source(first, end)
            index.add(_padded(vectors))
            codes[first:end] = kept.encode(vectors)
        return cls(index, kept, codes, probes, learned)

    def knows(self, rows: int) -> bool:
        """Whether what it learned is good enough for so many vectors."""
        return self.learned <= GROWN * rows <= GROWN * GROWN * self.learned

    def emptied(self) -> Any:
        """An index that learned what this one did, without its vectors."""
        index = faiss.clone_index(self._index)
        index.reset()
        return index

    @property
    def rows(self) -> int:
        """See `Segment`."""
        return len(self._codes)

    def nearest(self, query: Vectors, k: int, bits: Bits | None) -> tuple[Ids, Vectors]:
        """See `Segment`; where the groups probed hold too few rows that count, all are probed."""
        return self.nearest_to_each(query[None], k, bits)[0]

    def nearest_to_each(self, queries: Vectors, k: int, bits: Bits | None) -> list[tuple[Ids, Vectors]]:
        """See `nearest`."""
        wanted = min(self.rows, max(CANDIDATES * k, FEWEST))
        found = self._scan(queries, wanted, bits, self.probes)
        return [self._refined(query, rows, k, wanted, bits) for query, rows in zip(queries, found, strict=True)]

    def _refined(self, query: Vectors, rows: Ids, k: int, wanted: int, bits: Bits | None) -> tuple[Ids, Vectors]:
        if len(rows) < min(k, wanted) and self.probes < self._index.nlist:
            (rows,) = self._scan(query[None], wanted, bits, self._index.nlist)
        scores = self.codec.products(self._codes[rows], query)
        best = np.argsort(-scores, kind="stable")[:k]
        return rows[best], scores[best]

    def vectors(self, rows: Ids) -> Vectors:
        """See `Segment`."""
        return self.codec.decode(self._codes[rows])

    def state(self) -> dict[str, bytes]:
        """See `Segment`."""
        ranges = np.concatenate([self.codec.low, self.codec.step]).astype(np.float32)
        index = faiss.serialize_index(self._index)
        probes = self.probes.to_bytes(8, "little")
        return {"ivf": index.tobytes(), "codes": self._codes.tobytes(), "ranges": ranges.tobytes(), "probes": probes}

    @property
    def memory_bytes(self) -> int:
        """See `Segment`: 8 bits of each number, 4 of each SUBSPACE, an id of 8 bytes, and the groups' centres."""
        scanned = self.rows * (self._index.d // SUBSPACE // 2 + 8)
        return int(self._codes.nbytes + scanned + 4 * self._index.nlist * self._index.d)

    @classmethod
    def restored(cls, dimensions: int, state: Mapping[str, bytes]) -> Self:
        """What `state` gave. It must have been verified: FAISS trusts it."""
        low, step = np.frombuffer(state["ranges"], np.float32).reshape(2, dimensions)
        codes = np.frombuffer(state["codes"], np.uint8).reshape(-1, dimensions)
        index = faiss.deserialize_index(np.frombuffer(state["ivf"], np.uint8))
        return cls(index, Codec(low, step), codes, int.from_bytes(state["probes"], "little"))

    def _scan(self, queries: Vectors, wanted: int, bits: Bits | None, probes: int) -> list[Ids]:
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        parameters = faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        found = self._index.search(_padded(queries), wanted, params=parameters)[1]
        return [rows[rows >= 0] for rows in found]


def _trained(source: Source, rows: int, dimensions: int, plan: Plan) -> Any:
    """An empty index whose groups and codes fit a sample, which is taken in batches all over the rows."""
    padded = dimensions + -dimensions % SUBSPACE
    index = faiss.IndexIVFPQFastScan(
        faiss.IndexFlatIP(padded), padded, plan.lists, padded // SUBSPACE, 4, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.min_points_per_centroid = PER_LIST
    index.cp.niter = ROUNDS
    every = max(1, rows // (TRAINED * plan.lists))
    index.train(_padded(np.concatenate([source(at, min(at + BATCH, rows))[::every] for at in range(0, rows, BATCH)])))
    return index


def _padded(vectors: Vectors) -> Vectors:
    """With zeros behind, so that codes have equal parts; inner products are the same."""
    short = -vectors.shape[1] % SUBSPACE
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, short))) if short else vectors, np.float32)


def segment_of(
    source: Source,
    rows: int,
    dimensions: int,
    plan: Plan,
    former: QuantizedSegment | None = None,
    place: Place = "cpu",
) -> Segment:
    """What the plan says, of rows that `source(first, end)` gives."""
    if not plan.exact:
        return QuantizedSegment.built(source, rows, dimensions, plan, former)
    flat = FLAT[place](dimensions)
    for first in range(0, rows, BATCH):
        flat.add(source(first, min(first + BATCH, rows)))
    return flat


def restored(dimensions: int, state: Mapping[str, bytes], place: Place = "cpu") -> Segment:
    """What `Segment.state` gave. It must have been verified: FAISS trusts it."""
    return (FLAT[place] if "flat" in state else QuantizedSegment).restored(dimensions, state)


FLAT: dict[Place, type[FlatSegment]] = {"cpu": FlatSegment, "gpu": GpuFlatSegment}
