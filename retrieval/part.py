"""Chunks of a collection that are kept together: their vectors, postings, ids and files, and which of them still count.

A chunk has a place here, and one or more rows in a row of the segment (its windows). Removing one only clears its flag
and its rows' bits. It knows no request and no lock.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from retrieval.bm25 import Lexicon, Living, Numbers
from retrieval.filters import Mask
from retrieval.index import segments
from retrieval.index.choice import Plan, choose
from retrieval.index.protocol import Bits, Ids, Place, Segment, Vectors
from retrieval.index.segments import FlatSegment, QuantizedSegment, segment_of

FEW_ROWS = 5_000
"""Where a filter leaves no more rows than this, each of them is compared: exact, and cheaper than a scan."""

PLACE_BYTES = 100
"""What an id and its place take in a dict."""


@dataclass(frozen=True, slots=True)
class Making:
    """How the index of a merged part is made: within a budget, flat whatever it holds, with all learned anew."""

    budget_bytes: int | None = None
    place: Place = "cpu"
    flat: bool = False
    anew: bool = False


class Part:
    """Changes run alone, searches side by side."""

    def __init__(self, segment: Segment, lexicon: Lexicon, chunk_ids: "array[int]", files: "array[int]") -> None:
        self.segment = segment
        self.lexicon = lexicon
        self.chunk_ids = chunk_ids
        self.files = files
        self.starts = array("i", [0])
        self.owners = array("i")
        self.flags = bytearray()
        self.alive_count = 0
        self.alive_terms = 0
        self._bits = bytearray()
        self._places: dict[int, int] | None = {}

    @classmethod
    def empty(cls, dimensions: int) -> Self:
        """One that grows."""
        return cls(FlatSegment(dimensions), Lexicon(), array("q"), array("i"))

    @classmethod
    def frozen(
        cls, segment: Segment, lexicon: Lexicon, ids: Ids, files: Numbers, windows: Numbers, flags: Mask | None = None
    ) -> Self:
        """One that does not grow: ids [n] rise, and windows [n] says how many rows each chunk has."""
        part = cls(segment, lexicon, array("q", ids.tobytes()), array("i", files.tobytes()))
        part.starts = array("i", np.concatenate([[0], np.cumsum(windows)]).astype(np.int32).tobytes())
        part.owners = array("i", np.repeat(np.arange(len(ids), dtype=np.int32), windows).tobytes())
        kept = np.ones(len(ids), bool) if flags is None else flags
        part.flags, part.alive_count = bytearray(kept.tobytes()), int(kept.sum())
        part.alive_terms = int(np.frombuffer(lexicon.lengths, np.int32)[kept].sum()) if len(kept) else 0
        part._bits = bytearray(_bits(np.repeat(kept, windows)).tobytes())
        part._places = None
        return part

    @classmethod
    def merged(
        cls,
        parts: Sequence["Part"],
        alive: Sequence[Mask],
        dimensions: int,
        making: Making,
    ) -> Self:
        """One of many, with those chunks that `alive` [n] of each names; its index is chosen anew."""
        ids = np.concatenate(
            [np.array(part.chunk_ids, np.int64)[mask] for part, mask in zip(parts, alive, strict=True)]
        )
        order = np.argsort(ids, kind="stable")
        places = np.concatenate([np.flatnonzero(mask) for mask in alive])[order]
        which = np.repeat(np.arange(len(parts)), [int(mask.sum()) for mask in alive])[order]
        moved = [np.full(len(mask), -1, np.int32) for mask in alive]
        files, windows = np.zeros(len(ids), np.int32), np.zeros(len(ids), np.int32)
        firsts = np.zeros(len(ids), np.int64)
        for number, part in enumerate(parts):
            here = which == number
            starts, chosen = np.array(part.starts, np.int32), places[here]
            moved[number][chosen] = np.flatnonzero(here)
            files[here] = np.array(part.files, np.int32)[chosen]
            windows[here], firsts[here] = np.diff(starts)[chosen], starts[chosen]
        rows = np.repeat(firsts - np.cumsum(windows) + windows, windows) + np.arange(windows.sum())
        row_parts = np.repeat(which, windows)

        def source(first: int, end: int) -> Vectors:
            found = np.empty((end - first, dimensions), np.float32)
            for number, part in enumerate(parts):
                here = row_parts[first:end] == number
                if here.any():
                    found[here] = part.segment.vectors(rows[first:end][here])
            return found

        plan = Plan() if making.flat else choose(len(rows), dimensions, making.budget_bytes, making.place)
        former = None if making.anew else _former(parts)
        segment = segment_of(source, len(rows), dimensions, plan, former, making.place)
        return cls.frozen(segment, Lexicon.merged([part.lexicon for part in parts], moved), ids[order], files, windows)

    @property
    def memory_bytes(self) -> int:
        """What it takes in memory, about."""
        places = PLACE_BYTES * len(self._places or ())
        own = (self.chunk_ids, self.files, self.starts, self.owners)
        arrays = sum(each.itemsize * len(each) for each in own) + len(self.flags) + len(self._bits)
        return self.segment.memory_bytes + self.lexicon.memory_bytes + arrays + places

    @property
    def grows(self) -> bool:
        """Whether chunks can be added."""
        return self._places is not None

    def state(self, flags: bytes) -> dict[str, bytes]:
        """The whole content of a frozen part, by name, with `flags` as they were at some moment."""
        assert not self.grows
        windows = np.diff(np.array(self.starts, np.int32)).astype(np.int32)
        own = {"ids": self.chunk_ids.tobytes(), "files": self.files.tobytes(), "windows": windows.tobytes()}
        return own | {"flags": flags} | self.lexicon.state() | self.segment.state()

    @classmethod
    def restored(cls, dimensions: int, state: Mapping[str, bytes], place: Place = "cpu") -> Self:
        """What `state` gave. It must have been verified."""
        ids, flags = np.frombuffer(state["ids"], np.int64), np.frombuffer(state["flags"], np.uint8).astype(bool)
        files, windows = (np.frombuffer(state[name], np.int32) for name in ("files", "windows"))
        segment = segments.restored(dimensions, state, place)
        return cls.frozen(segment, Lexicon.restored(state), ids, files, windows, flags)

    def add_rows(self, vectors: Vectors) -> None:
        """Enter vectors [n, d] of length 1, of chunks that `add` enters next; only where it grows."""
        assert isinstance(self.segment, FlatSegment)
        self.segment.add(vectors)

    def add(self, chunk_id: int, windows: int, terms: Iterable[str], file: int) -> None:
        """Enter the chunk of the next `windows` rows; only an id that is not there."""
        assert self._places is not None
        place = self.lexicon.add(terms)
        self.chunk_ids.append(chunk_id)
        self.files.append(file)
        self.flags.append(1)
        for row in range(self.starts[-1], self.starts[-1] + windows):
            if row % 8 == 0:
                self._bits.append(0)
            self._bits[row // 8] |= 1 << row % 8
            self.owners.append(place)
        self.starts.append(self.starts[-1] + windows)
        self._places[chunk_id] = place
        self.alive_count += 1
        self.alive_terms += self.lexicon.lengths[place]

    def remove(self, chunk_id: int) -> bool:
        """Whether it was there; it is found no more."""
        place = self._place(chunk_id)
        if place is None or not self.flags[place]:
            return False
        self.flags[place] = 0
        self.alive_count -= 1
        self.alive_terms -= self.lexicon.lengths[place]
        for row in range(self.starts[place], self.starts[place + 1]):
            self._bits[row // 8] &= ~(1 << row % 8)
        if self._places is not None:
            del self._places[chunk_id]
        return True

    def alive(self) -> Mask:
        """Which chunks [n] still count; a copy."""
        return np.frombuffer(bytes(self.flags), np.uint8).astype(bool)

    def living(self) -> Living:
        """Its words, as `bm25` compares them; good until the next change."""
        flags = np.frombuffer(self.flags, np.uint8).view(bool) if self.flags else np.empty(0, bool)
        return Living(self.lexicon, flags, self.alive_count, self.alive_terms)

    def file_numbers(self) -> Numbers:
        """The file of each chunk [n]."""
        return _view(self.files, copied=self.grows)

    def dense(self, query: Vectors, k: int, allowed: Mask | None) -> tuple[Ids, Vectors]:
        """At most k places of different chunks and the best inner product of each, best first; `allowed` [n] of all.

        Without `allowed`, all that are alive.
        """
        if allowed is None:
            return self.dense_each(query[None], k)[0]
        if not self.owners or not self.alive_count:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        owners = _view(self.owners, copied=self.grows)
        rows = np.flatnonzero(allowed[owners])
        if len(rows) <= FEW_ROWS:
            return _best(owners[rows], self.segment.vectors(rows) @ query, k)
        bits = _bits(allowed[owners])
        (found,) = self.segment.nearest_to_each(query[None], k, bits)
        return self._distinct(query, k, bits, owners, found)

    def dense_each(self, queries: Vectors, k: int) -> list[tuple[Ids, Vectors]]:
        """`dense` over all that are alive, for each of queries [n, d]: cheaper than one after the other."""
        if not self.owners or not self.alive_count:
            return [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
        owners = _view(self.owners, copied=self.grows)
        bits = np.frombuffer(bytes(self._bits), np.uint8) if self.alive_count < len(self.flags) else None
        found = self.segment.nearest_to_each(queries, k, bits)
        return [self._distinct(query, k, bits, owners, each) for query, each in zip(queries, found, strict=True)]

    def vectors_of(self, place: int) -> Vectors:
        """A chunk's windows [n, d]."""
        return self.segment.vectors(np.arange(self.starts[place], self.starts[place + 1]))

    def _distinct(
        self, query: Vectors, k: int, bits: Bits | None, owners: Numbers, found: tuple[Ids, Vectors]
    ) -> tuple[Ids, Vectors]:
        """`found` are the k nearest rows: ask for more until they belong to k chunks, or there are no more."""
        width, (rows, scores) = k, found
        while True:
            places, best = _best(owners[rows], scores, k)
            if len(places) >= k or len(rows) < width:
                return places, best
            width *= 2
            rows, scores = self.segment.nearest(query, width, bits)

    def _place(self, chunk_id: int) -> int | None:
        if self._places is not None:
            return self._places.get(chunk_id)
        place = bisect_left(self.chunk_ids, chunk_id)
        return place if place < len(self.chunk_ids) and self.chunk_ids[place] == chunk_id else None


def _view(numbers: "array[int]", *, copied: bool) -> Numbers:
    """As numpy has them; a copy where the part grows, because an array with a view on it cannot."""
    view = np.frombuffer(numbers, np.int32)
    return view.copy() if copied else view


def _best(owners: Numbers, scores: Vectors, k: int) -> tuple[Ids, Vectors]:
    """Each owner once with its best score, best first."""
    order = np.argsort(-scores, kind="stable")
    _, firsts = np.unique(owners[order], return_index=True)
    chosen = order[np.sort(firsts)[:k]]
    return owners[chosen].astype(np.int64), scores[chosen]


def _bits(mask: Mask) -> Bits:
    return np.packbits(mask, bitorder="little")


def _former(parts: Sequence[Part]) -> QuantizedSegment | None:
    """The largest quantized one, whose codes and groups a rebuild takes over where they fit."""
    segments = [part.segment for part in parts if isinstance(part.segment, QuantizedSegment)]
    return max(segments, key=lambda each: each.rows, default=None)
