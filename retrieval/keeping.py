"""Melting collections, and their snapshots: who may stay, and when a new one is written. It knows no question.

Nothing that was removed from a store lies in a snapshot for longer than it takes to look at all of them: the feed
judges each by the change at which it stands. What takes seconds or minutes has threads of its own.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator

from configs.errors import ConfigurationError
from retrieval.collection import Collection
from retrieval.feed import Feed, StoreKey
from retrieval.followed import Followed
from retrieval.pacing import Pools, in_pool
from retrieval.shelf import Shelf

log = logging.getLogger(__name__)

MELTED_SOON = 100_000
"""Chunks that are melted in seconds."""
MELT_S = 3600.0
"""A larger store that holds what was removed is melted so often at most, unless a compaction is due."""


class Keeping:
    """One store at a time is melted or saved."""

    def __init__(self, feed: Feed, shelf: Shelf, pools: Pools) -> None:
        self._feed = feed
        self._shelf = shelf
        self._quick, self._slow = pools.changing, pools.keeping
        self._one = asyncio.Semaphore(1)
        self._ending = False

    async def stores(self) -> list[str]:
        """Stores that have a snapshot."""
        return await in_pool(self._quick, self._shelf.stores)

    async def saved_bytes(self, store_id: str) -> int:
        """See `Shelf.saved_bytes`."""
        return await in_pool(self._quick, functools.partial(self._shelf.saved_bytes, store_id))

    async def load(self, store: StoreKey) -> Collection | None:
        """See `Shelf.load`."""
        return await in_pool(self._slow, functools.partial(self._shelf.load, store))

    async def remove(self, store_id: str) -> None:
        """See `Shelf.remove`."""
        await in_pool(self._quick, functools.partial(self._shelf.remove, store_id))

    async def judge(self) -> set[str]:
        """Remove every snapshot that may not stay, whoever wrote it; of which stores there were some.

        Raises:
            Unavailable: the feed is away.
        """
        await in_pool(self._quick, self._shelf.clear)
        places = await in_pool(self._quick, self._shelf.places)
        gone = await self._feed.outdated(places) if places else []
        for store_id, seq in gone:
            await in_pool(self._quick, functools.partial(self._shelf.forget, store_id, seq))
        return {store_id for store_id, _ in gone}

    def tidy(self, followed: Followed) -> None:
        """Melt and save in the background where that is due, once at a time."""
        if followed.collection.wants_compaction or followed.wants_saving:
            self._begin(followed)

    async def end(self, followed: Followed) -> None:
        """Wait for what goes on in the background; nothing begins there from now on."""
        self._ending = True
        if followed.tidying is not None:
            await asyncio.wait([followed.tidying])

    async def clean(self, followed: Followed) -> None:
        """Take what was removed out of memory, in the background: soon where that is quick, else after a while."""
        collection = followed.collection
        if collection.size > MELTED_SOON and time.monotonic() - followed.melted_at < MELT_S:
            return
        if await in_pool(self._quick, lambda: collection.holds_dead):
            self._begin(followed, melt=True)

    async def melt(self, followed: Followed, *, anew: bool = False) -> None:
        """See `Collection.compact`; in its turn."""
        async with self._one:
            await in_pool(self._slow, functools.partial(followed.collection.compact, anew=anew))
        followed.melted_at = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether a store is being melted or saved, which may take minutes."""
        return self._one.locked()

    async def save(self, followed: Followed, wait_s: float | None = None) -> None:
        """Write a snapshot of what changed. A disk that fails costs time at the next start, no more.

        None is written where its turn does not come within `wait_s`.
        """
        if not followed.unsaved:
            return
        count, followed.unsaved = followed.unsaved, 0
        written = False
        try:
            async with self._turn(wait_s):
                written = await in_pool(self._slow, functools.partial(self._written, followed))
        except TimeoutError:
            log.info("there is no new snapshot of %s: another store is being melted or saved", followed.store.store_id)
        except ConfigurationError as error:
            log.error("there is no snapshot of %s: %s", followed.store.store_id, error.message)  # noqa: TRY400  it says it all
        finally:
            followed.unsaved += 0 if written else count

    @contextlib.asynccontextmanager
    async def _turn(self, wait_s: float | None) -> AsyncIterator[None]:
        async with asyncio.timeout(wait_s):
            await self._one.acquire()
        try:
            yield
        finally:
            self._one.release()

    def _written(self, followed: Followed) -> bool:
        """What is gone shall lie on no disk: it is melted away first, or nothing is written where that takes long."""
        collection = followed.collection
        if collection.holds_dead and collection.size <= MELTED_SOON:
            collection.compact()
        return not collection.holds_dead and self._shelf.save(followed.store, collection)

    def _begin(self, followed: Followed, *, melt: bool = False) -> None:
        if followed.tidied is not False and not self._ending:
            followed.tidying = asyncio.create_task(self._tidied(followed, melt))

    async def _tidied(self, followed: Followed, melt: bool) -> None:
        try:
            if melt or followed.collection.wants_compaction:
                await self.melt(followed, anew=melt and followed.quiet)
            if followed.wants_saving:
                begun = time.monotonic()
                await self.save(followed)
                followed.rest(time.monotonic() - begun)
        except Exception:
            log.exception("%s could not be tidied", followed.store.store_id)
