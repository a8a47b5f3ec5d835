"""Changes of one store, page by page, from the feed into its collection. It knows no other store and no snapshot."""

import functools
import time
from collections.abc import Awaitable, Callable

from configs.errors import NotFound
from retrieval import feed as sealed
from retrieval.feed import Changes, Feed
from retrieval.followed import Followed
from retrieval.metering import Meter
from retrieval.pacing import Pools, in_pool
from retrieval.shards import Shard

NO_STORE = "There is no such vector store."
SILENT_S = 60.0
"""What comes after a longer silence says nothing of how soon changes are found."""


class Lost(Exception):
    """The store does not know the change at which its collection stands: it must be read anew."""


async def _nothing() -> None:
    """There is nothing to do."""


class Pulling:
    """Of one shard."""

    def __init__(self, feed: Feed, shard: Shard, pools: Pools, meter: Meter) -> None:
        self._feed = feed
        self._shard = shard
        self._pools = pools
        self._meter = meter

    async def pull(
        self, followed: Followed, enough: int | None = None, after_page: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        """Up to the change `enough`, or the last.

        Raises:
            NotFound: the store is gone.
            Lost: what was read may never have been; nobody may be told of it any more.
            Unavailable: the feed is away.
        """
        async with followed.turn:
            collection, name = followed.collection, followed.store.store_id
            seen = collection.seq
            while enough is None or collection.seq < enough:  # who had the turn before may have read it all
                changes = await self._feed.changes(name, collection.seq, seen, self._shard)
                if changes is None and collection.seq == 0:
                    raise NotFound(NO_STORE, param="vector_store_id")
                if changes is None:
                    raise Lost
                if not await self._applied(followed, changes):
                    break
                seen = changes.head
                await after_page()

    async def _applied(self, followed: Followed, changes: Changes) -> bool:
        """Whether there was something."""
        lately = time.monotonic() - followed.heard_at < SILENT_S
        followed.heard_at, collection = time.monotonic(), followed.collection
        if changes.seq <= collection.seq:
            return False
        work = functools.partial(sealed.apply, collection, followed.store, changes)
        await in_pool(self._pools.changing, work)
        followed.unsaved += len(changes.chunks) + len(changes.removed)
        followed.changed_at = time.monotonic()
        if lately and changes.since is not None:
            self._meter.applied.observe(max(0.0, time.time() - changes.since))
        return True
