"""A store as a search replica holds it, and which stores it can do without. It knows no feed and no disk."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from retrieval.collection import Collection, Hit, Query
from retrieval.feed import StoreKey
from retrieval.gathering import Gathering
from retrieval.metering import Meter

log = logging.getLogger(__name__)

SAVE_AFTER = 2_000
"""Chunks that came or went since the last snapshot, and a quarter of the store: then there is a new one."""
SAVE_REST_S, SAVE_REST = 60.0, 20
"""A store rests so long at least before it is saved again, and so many times as long as saving took."""
QUIET_S = 10.0
"""Without a change."""


@dataclass(slots=True)
class Followed:
    """One store in memory. `turn` is held while it is brought up to date; `unsaved` counts changes of chunks."""

    store: StoreKey
    collection: Collection
    meter: Meter
    gathering: Gathering[Query, list[Hit]] = field(init=False)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    unsaved: int = 0
    asked_at: float = 0.0
    heard_at: float = 0.0
    changed_at: float = 0.0
    rests_until: float = 0.0
    melted_at: float = field(default_factory=time.monotonic)
    tidying: asyncio.Task[None] | None = None

    def search_each(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Collection`; another one may take its place at any time."""
        self.meter.batches.observe(len(queries))
        return self.collection.search_each(queries)

    @property
    def busy(self) -> bool:
        """Whether it is being read, melted or saved."""
        return self.turn.locked() or self.tidied is False

    @property
    def tidied(self) -> bool | None:
        """Whether melting or saving in the background is over; None where there was none."""
        return None if self.tidying is None else self.tidying.done()

    @property
    def wants_saving(self) -> bool:
        """Whether much changed since the last snapshot, which is a while ago."""
        rested = time.monotonic() >= self.rests_until
        return rested and self.unsaved >= max(SAVE_AFTER, self.collection.size // 4)

    def rest(self, took_s: float) -> None:
        """Saving was tried and took so long: what never stops changing must not be written all the time."""
        self.rests_until = time.monotonic() + max(SAVE_REST_S, SAVE_REST * took_s)

    @property
    def quiet(self) -> bool:
        """Whether nothing changed lately."""
        return time.monotonic() - self.changed_at > QUIET_S


class Memory:
    """What all stores of a process may take together, in bytes; None: no limit."""

    def __init__(self, limit_bytes: int | None) -> None:
        self._limit_bytes = limit_bytes
        self._told: set[str] = set()

    def surplus(self, stores: Mapping[str, Followed], more_bytes: int = 0) -> list[str]:
        """Those to let go of: asked least recently first, never the one that was asked last, and none that is busy.

        `more_bytes` are taken by stores that are being read. A store that takes more than all may is served all the
        same, and said once in the log.
        """
        if self._limit_bytes is None or not stores:
            return []
        sizes = {name: each.collection.memory_bytes for name, each in stores.items()}
        by_age = sorted(stores, key=lambda name: stores[name].asked_at)
        self._tell_of_large(sizes)
        over, chosen = sum(sizes.values()) + more_bytes - self._limit_bytes, []
        for name in by_age[:-1]:
            if over > 0 and not stores[name].busy:
                chosen.append(name)
                over -= sizes[name]
        return chosen

    def _tell_of_large(self, sizes: Mapping[str, int]) -> None:
        for name, size in sizes.items():
            if self._limit_bytes is not None and size > self._limit_bytes and name not in self._told:
                self._told.add(name)
                log.warning(
                    "%s alone takes %d bytes of memory and search.memory_bytes is %d: raise it, let search.store_bytes"
                    " quantize its vectors, or spread it by search.shards",
                    name, size, self._limit_bytes,
                )  # fmt: skip
