"""A queue that hands out batches of like-sized entries: oldest first, fair between callers, little padding.

It knows no threads, no clock and no model. Sizes are whatever a batch is limited by (tokens; 1 for a vector), and a
batch is charged as if every entry had the size of its longest one, because that is what padding makes of it.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Generic, TypeVar

Owner = TypeVar("Owner")
Item = TypeVar("Item")

SHARE = 8
"""A caller with many entries is sure of one part in eight; the rest goes to whoever came with few."""


SLACK = 1024
"""Dropped entries that may lie in the heaps beside as many as are waiting."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What one batch may hold: padded size, entries, and the padding worth one batch less."""

    size: int
    items: int
    padding: int

    def admits(self, count: int, longest: int, total: int) -> bool:
        """Whether `count` entries of summed size `total`, the longest of size `longest`, make one batch."""
        padded = count * longest
        return count == 1 or (count <= self.items and padded <= self.size and padded - total <= self.padding)


@dataclass(slots=True, eq=False)
class Entry(Generic[Owner, Item]):
    """One waiting item; `live` turns false when it is taken or its owner gave up."""

    owner: Owner
    index: int
    item: Item
    size: int
    since_s: float
    live: bool = True


class FairQueue(Generic[Owner, Item]):
    """Entries by size, each dated in units of work done.

    An entry's date is the work done so far plus `SHARE` times what stands before it in its own caller's list. So a
    newcomer passes a long list, and no stream of newcomers can hold an entry back for ever: dates never change, and the
    work done grows past them.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._clear()
        self._done = 0
        self._serial = 0

    def _clear(self) -> None:
        self.size = 0
        self.count = 0
        self._by_date: list[tuple[int, int, Entry[Owner, Item]]] = []
        self._by_size: dict[int, list[tuple[int, int, Entry[Owner, Item]]]] = {}
        self._sizes: list[int] = []

    def put(self, owner: Owner, items: Sequence[Item], sizes: Sequence[int], now_s: float) -> list[Entry[Owner, Item]]:
        """Queue one caller's items, in their order."""
        entries, date = [], self._done
        for index, (item, size) in enumerate(zip(items, sizes, strict=True)):
            entry = Entry(owner, index, item, size, now_s)
            self._file(date, entry)
            entries.append(entry)
            date += SHARE * size
        return entries

    def _file(self, date: int, entry: Entry[Owner, Item]) -> None:
        self._serial += 1
        key = (date, self._serial, entry)
        heappush(self._by_date, key)
        if entry.size not in self._by_size:
            self._by_size[entry.size] = []
            insort(self._sizes, entry.size)
        heappush(self._by_size[entry.size], key)
        self.size += entry.size
        self.count += 1

    def drop(self, entries: Sequence[Entry[Owner, Item]]) -> int:
        """Forget those of `entries` that were not taken yet; returns how many."""
        waiting = [entry for entry in entries if entry.live]
        for entry in waiting:
            self._remove(entry)
        if len(self._by_date) > 2 * self.count + SLACK:
            self._rebuild()
        return len(waiting)

    def _rebuild(self) -> None:
        """Let go of dropped items, which the heaps would keep until their date."""
        waiting = [key for key in self._by_date if key[2].live]
        self._clear()
        for date, _, entry in sorted(waiting, key=lambda key: key[:2]):
            self._file(date, entry)

    def _remove(self, entry: Entry[Owner, Item]) -> None:
        entry.live = False
        self.size -= entry.size
        self.count -= 1

    def drain(self) -> list[Entry[Owner, Item]]:
        """Take everything, in no order."""
        waiting = [key[2] for key in self._by_date if key[2].live]
        for entry in waiting:
            entry.live = False
        self._clear()
        return waiting

    def take(self) -> list[Entry[Owner, Item]]:
        """The oldest entry and those nearest to it in size, as many as the limits admit; empty if none waits."""
        if not self.count:
            return []
        while not self._by_date[0][2].live:
            heappop(self._by_date)
        first = self._by_date[0][2]
        self._remove(first)
        batch = self._fill(first)
        self._done += sum(entry.size for entry in batch)
        if not self.count:
            self._clear()
        return batch

    def _fill(self, first: Entry[Owner, Item]) -> list[Entry[Owner, Item]]:
        batch, total, longest = [first], first.size, first.size
        above = bisect_left(self._sizes, first.size)
        below = above - 1
        while (side := self._nearer(below, above, first.size)) is not None:
            size = self._sizes[side]
            entry = self._oldest_of(size)
            if entry is not None and self._limits.admits(len(batch) + 1, max(longest, size), total + size):
                self._remove(entry)
                batch.append(entry)
                total, longest = total + size, max(longest, size)
            elif entry is not None:
                below, above = self._closed(below, above, side)
            else:
                del self._by_size[size], self._sizes[side]
                below, above = (below, above) if side == above else (below - 1, above - 1)
        return batch

    def _nearer(self, below: int, above: int, size: int) -> int | None:
        if above >= len(self._sizes):
            return below if below >= 0 else None
        if below < 0 or self._sizes[above] - size <= size - self._sizes[below]:
            return above
        return below

    def _closed(self, below: int, above: int, side: int) -> tuple[int, int]:
        """One side took all it can: what lies further out there pads more still."""
        return (below, len(self._sizes)) if side == above else (-1, above)

    def _oldest_of(self, size: int) -> Entry[Owner, Item] | None:
        heap = self._by_size[size]
        while heap and not heap[0][2].live:
            heappop(heap)
        return heap[0][2] if heap else None
