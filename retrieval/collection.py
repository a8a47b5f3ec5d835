"""One vector store in memory: vectors, words and attributes of its chunks, changed in order and searched at once.

New chunks enter a small part that grows; `compact` melts all parts into one beside searches and changes, and swaps it
in at once. It knows no file, and no text of a chunk: only its terms. Thread-safe.
"""

import threading
from collections.abc import Collection as Collected
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from configs.errors import BadRequest
from retrieval import bm25, ranking
from retrieval.filters import Attributes, Columns, Mask, Value
from retrieval.index import checks
from retrieval.index.protocol import Ids, Place, Shape, Vectors
from retrieval.index.segments import FlatSegment
from retrieval.numbering import Numbering
from retrieval.part import Making, Part
from retrieval.query import Found, Hit, Query, check, depth
from retrieval.sharing import SharedLock

__all__ = ["Collection", "Content", "Entry", "Hit", "Query"]

DELTA_ROWS = 10_000
"""More rows than this and than a tenth of the rest ask for a compaction: they are all compared at each search."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A chunk: its windows' vectors [n, d], the terms of its text, and the file that it is of."""

    chunk_id: int
    vectors: Vectors
    terms: Sequence[str]
    file_id: str


@dataclass(frozen=True, slots=True)
class Content:
    """What a collection holds at `seq`: frozen parts, files' ids by number ("": nobody's), each file's attributes."""

    dimensions: int
    seq: int
    parts: Sequence[Mapping[str, bytes]]
    files: Sequence[str]
    attributes: Sequence[Attributes]

    @property
    def holds_dead(self) -> bool:
        """Whether there is something of chunks that are found no more."""
        return any(0 in part["flags"] for part in self.parts)


class Collection:
    """See the module. `budget_bytes` limits what vectors may take; without it memory does not count."""

    def __init__(self, shape: Shape, budget_bytes: int | None = None, place: Place = "cpu") -> None:
        self.shape = shape
        self.seq = 0
        self._budget_bytes = budget_bytes
        self._place = place
        self._parts: list[Part] = [Part.empty(shape.dimensions)]
        self._files = Numbering()
        self._columns = Columns()
        self._removed: list[int] | None = None
        self._reading = SharedLock()
        self._compacting = threading.Lock()

    @property
    def size(self) -> int:
        """How many chunks are found."""
        return sum(part.alive_count for part in self._parts)

    def apply(
        self,
        seq: int,
        added: Iterable[Entry] = (),
        removed: Iterable[int] = (),
        described: Mapping[str, Attributes] | None = None,
    ) -> bool:
        """Make a change visible: chunks that go, then attributes by file, then chunks that come or are replaced.

        False, and nothing happens, where the collection stands at `seq` or later already.

        Raises:
            BadRequest: vectors that are none (`checks`), or a chunk without one; nothing was changed.
        """
        entries = {entry.chunk_id: entry for entry in added}
        vectors = self._stacked(entries.values())
        with self._reading.alone():
            if seq <= self.seq:
                return False
            self._remove(removed)
            self._remove(entries)
            for file_id, attributes in (described or {}).items():
                self._columns.set(self._file(file_id), attributes)
            self._parts[-1].add_rows(vectors)
            for entry in entries.values():
                self._parts[-1].add(entry.chunk_id, len(entry.vectors), entry.terms, self._file(entry.file_id))
            self.seq = seq
            return True

    def search(self, query: Query) -> list[Hit]:
        """At most k different chunks, best first.

        Raises:
            BadRequest: see `check`.
        """
        return self.search_each([query])[0]

    def check(self, query: Query) -> None:
        """Refuse a query that is none.

        Raises:
            BadRequest: a vector that is none, weights that weigh nothing, or a number out of range.
        """
        self._begun(query)

    def search_each(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """The answers to several queries at one moment: cheaper than one after the other. Errors as `search`."""
        begun = [self._begun(query) for query in queries]
        with self._reading.shared():
            self._prepare_all(begun)
            self._compare(begun)
            return [ranking.answer(found, self._parts) for found in begun]

    def content(self) -> Content:
        """The whole content at one moment. Searches and changes go on meanwhile, but for a moment."""
        dimensions = self.shape.dimensions
        with self._reading.shared():
            frozen = [
                Part.merged([part], [part.alive()], dimensions, Making(flat=True)) if part.grows else part
                for part in self._parts
            ]
            parts = [(part, bytes(part.flags)) for part in frozen if part.chunk_ids]
            files, attributes, seq = self._told()
        # Of a frozen part nothing but its flags changes: it is copied while searches and changes go on.
        return Content(dimensions, seq, [part.state(flags) for part, flags in parts], files, attributes)

    def _told(self) -> tuple[list[str], list[dict[str, Value]], int]:
        """Files by number, and their attributes; of a file without chunks neither."""
        held, told = self._held(), self._columns.attributes()
        return self._files.names(held), [each if held[number] else {} for number, each in enumerate(told)], self.seq

    def _held(self) -> Mask:
        """Numbers of files with chunks."""
        held = np.zeros(len(self._files), bool)
        for part in self._parts:
            held[part.file_numbers()[part.alive()]] = True
        return held

    @classmethod
    def of(cls, content: Content, budget_bytes: int | None = None, place: Place = "cpu") -> Self:
        """What `content` gave, which must have been verified (`retrieval.archive`)."""
        collection = cls(Shape(content.dimensions), budget_bytes, place)
        collection._parts[:0] = [Part.restored(content.dimensions, state, place) for state in content.parts]
        collection._files = Numbering.restored(content.files)
        for number, attributes in enumerate(content.attributes):
            collection._columns.set(number, attributes)
        collection.seq = content.seq
        return collection

    @property
    def memory_bytes(self) -> int:
        """What it takes in memory, about."""
        parts = sum(part.memory_bytes for part in list(self._parts))  # without the lock: a change may take a while
        return parts + self._files.memory_bytes + self._columns.memory_bytes

    @property
    def holds_dead(self) -> bool:
        """Whether chunks are still in memory that are found no more."""
        with self._reading.shared():
            return any(part.alive_count < len(part.flags) for part in self._parts)

    @property
    def wants_compaction(self) -> bool:
        """Whether much is new or gone since the last one."""
        parts = list(self._parts)  # without the lock, on a loop: a change may take a while
        rows = [part.segment.rows for part in parts]
        return rows[-1] > max(DELTA_ROWS, sum(rows) // 10) or _much_is_gone(parts, DELTA_ROWS)

    @property
    def exceeds_budget(self) -> bool:
        """Whether exact vectors take more than they may, and a compaction would change that."""
        flat = [part.segment.memory_bytes for part in list(self._parts) if isinstance(part.segment, FlatSegment)]
        return self._budget_bytes is not None and sum(flat) > self._budget_bytes and self.wants_compaction

    def compact(self, *, anew: bool = False) -> bool:
        """Melt all parts into one, whose index is chosen anew; false where another compaction is under way.

        `anew`: also what an index learned from vectors; else only where their number has doubled, or many have gone.
        """
        if not self._compacting.acquire(blocking=False):
            return False
        try:
            self._compact(anew)
        finally:
            self._compacting.release()
        return True

    def _compact(self, anew: bool) -> None:
        with self._reading.alone():
            old, alive = list(self._parts), [part.alive() for part in self._parts]
            self._parts.append(Part.empty(self.shape.dimensions))
            self._removed = []
        try:
            making = Making(self._budget_bytes, self._place, anew=anew or _much_is_gone(old))
            melted = Part.merged(old, alive, self.shape.dimensions, making)
            with self._reading.alone():
                for chunk_id in self._removed:
                    melted.remove(chunk_id)
                self._parts[: len(old)] = [melted]
                for number in self._files.release(self._held()):
                    self._columns.set(number, {})
        finally:
            self._removed = None

    def _remove(self, chunk_ids: Iterable[int]) -> None:
        for chunk_id in chunk_ids:
            if any(part.remove(chunk_id) for part in self._parts) and self._removed is not None:
                self._removed.append(chunk_id)

    def _file(self, file_id: str) -> int:
        number = self._files.number(file_id)
        self._columns.rows = len(self._files)
        return number

    def _stacked(self, entries: Collected[Entry]) -> Vectors:
        """The rows of all, of length 1."""
        if not all(len(entry.vectors) for entry in entries):
            raise BadRequest("A chunk has no vector.", param="vectors")
        if not entries:
            return np.empty((0, self.shape.dimensions), np.float32)
        for entry in entries:
            checks.width(entry.vectors, self.shape)
        return self._scaled(np.concatenate([entry.vectors for entry in entries]))

    def _scaled(self, vectors: Vectors) -> Vectors:
        found = checks.vectors(vectors, self.shape)
        exact = found.astype(np.float64)
        scaled: Vectors = (exact / np.linalg.norm(exact, axis=1, keepdims=True)).astype(np.float32)
        return scaled

    def _begun(self, query: Query) -> Found:
        check(query)
        return Found(query, None if query.vector is None else self._scaled(query.vector[None])[0], depth(query))

    def _prepare_all(self, begun: Sequence[Found]) -> None:
        holders = bm25.Holders([part.living() for part in self._parts])
        for found in begun:
            self._prepare(found, holders)

    def _prepare(self, found: Found, holders: bm25.Holders) -> None:
        query = found.query
        if not query.terms and query.filter is None:
            return
        if query.filter is not None:
            mask = self._columns.mask(query.filter)
            found.allowed = [part.alive() & mask[part.file_numbers()] for part in self._parts]
        if query.terms:
            scored, found.counted = bm25.scores(holders, query.terms)
            most = np.float32(sum(found.counted.weights(query.terms)) or 1)
            found.lexical = [(documents, scores / most) for documents, scores in scored]
            if found.allowed is not None:
                kept = [here[documents] for here, (documents, _) in zip(found.allowed, scored, strict=True)]
                found.lexical = [
                    (documents[keep], scores[keep])
                    for keep, (documents, scores) in zip(kept, found.lexical, strict=True)
                ]

    def _compare(self, begun: Sequence[Found]) -> None:
        """Fill in the cosines: of queries without a filter together, of others one by one."""
        asking = [found for found in begun if found.vector is not None and found.query.weights[0] > 0]
        open_to_all = [found for found in asking if found.allowed is None]
        if open_to_all:
            vectors = np.stack([found.vector for found in open_to_all if found.vector is not None])
            depth = max(found.depth for found in open_to_all)
            for number, part in enumerate(self._parts):
                for found, (places, scores) in zip(open_to_all, part.dense_each(vectors, depth), strict=True):
                    _note(found, number, places, scores)
        for found in asking:
            if found.allowed is not None and found.vector is not None:
                for number, part in enumerate(self._parts):
                    _note(found, number, *part.dense(found.vector, found.depth, found.allowed[number]))


def _note(found: Found, number: int, places: Ids, scores: Vectors) -> None:
    found.dense.update(zip(((number, place) for place in places.tolist()), scores.tolist(), strict=True))


def _much_is_gone(parts: Sequence[Part], least: int = 0) -> bool:
    held = sum(len(part.flags) for part in parts)
    return held - sum(part.alive_count for part in parts) > max(least, held // 3)
