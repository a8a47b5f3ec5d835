"""Collections that follow their stores: read at the first question, kept up to date, forgotten when nobody asks.

PostgreSQL is the truth, and the feed tells it. What is in memory and on the shelf only saves time: it may be lost at
any moment. Work is done in threads, so that the loop stays free. It knows no user.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Sequence

from configs.errors import MantaError, NotFound, Unavailable
from retrieval.collection import Collection, Hit, Query
from retrieval.feed import Feed, StoreKey
from retrieval.followed import Followed, Memory
from retrieval.gathering import Gathering
from retrieval.index.protocol import Place, Shape
from retrieval.keeping import Keeping
from retrieval.loading import READ_WAIT_S, Lane, Loading
from retrieval.metering import Meter
from retrieval.pacing import Pools, repeated, waited
from retrieval.pulling import Lost, Pulling
from retrieval.shelf import Shelf

log = logging.getLogger(__name__)

FOLLOW_S = 0.5
"""Between two looks at what changed, in stores that were asked lately."""
LATELY_S = 60.0
SWEEP_S = 60.0
"""Between two looks at what is gone, in all stores and snapshots that are here."""
HEARD_S = 2.0
"""A store that the feed was silent about for longer is asked about where a question knows less than it."""
IDLE_S = 3600.0
SAVE_WAIT_S = 1.0
"""How long a store that must leave memory waits for its turn to be saved."""
ROOM_WAIT_S = 5.0
"""How long its snapshot is waited for in all; then it leaves without."""


class Following:
    """Made on the loop that uses it; `run` keeps it fresh, `close` leaves snapshots.

    Of the pool `keeping` it uses two threads more than `loading.LOADS`.
    """

    def __init__(
        self,
        feed: Feed,
        shelf: Shelf,
        pools: Pools,
        place: Place = "cpu",
        lanes: int = 2,
        budget_bytes: int | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        self._feed = feed
        self._lanes = lanes
        self._pools = pools
        self._place = place
        self._budget_bytes = budget_bytes
        self._memory = Memory(memory_bytes)
        self._leaving: set[str] = set()
        self._keeping = Keeping(feed, shelf, pools)
        self.meter = Meter()
        self._pulling = Pulling(feed, shelf.shard, pools, self.meter)
        self._renewing: set[asyncio.Task[None]] = set()
        self._loading = Loading(self._load)
        self._followed: dict[str, Followed] = {}
        self._be_watched()

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `retrieval.finding.Finder`."""
        followed = await self._known(store_id)
        followed.asked_at = time.monotonic()
        if followed.collection.seq < min_seq:
            followed = await waited(self._caught_up(followed, min_seq), READ_WAIT_S)
        elif followed.collection.seq > min_seq and time.monotonic() - followed.heard_at > HEARD_S:
            followed = await waited(self._caught_up(followed), READ_WAIT_S)  # it is ahead, or the database was set back
        for query in queries:
            followed.collection.check(query)
        return await followed.gathering.ask(queries)

    def stats(self) -> dict[str, dict[str, int]]:
        """Each store in memory: `chunks`, `seq`, `dimensions`, and about how many `bytes` it takes."""
        return {
            name: {
                "chunks": each.collection.size,
                "seq": each.collection.seq,
                "dimensions": each.store.dimensions,
                "bytes": each.collection.memory_bytes,
            }
            for name, each in self._followed.items()
        }

    def _be_watched(self) -> None:
        watch = self.meter.watch
        watch("stores", "Stores in memory.", lambda: len(self._followed))
        watch("chunks", "Chunks in memory.", lambda: self._all("chunks"))
        watch("bytes", "What stores take in memory, about.", lambda: self._all("bytes"))

    def _all(self, number: str) -> int:
        return sum(each[number] for each in self.stats().values())

    async def run(self) -> None:
        """Keep up with what changes, and let go of what is gone, for ever; each beside the others."""
        await asyncio.gather(
            repeated(self._follow, FOLLOW_S), repeated(self.make_room, FOLLOW_S), repeated(self.sweep, SWEEP_S)
        )

    async def sweep(self) -> None:
        """Forget all that was removed, in snapshots and in memory, stores that are gone, and those that nobody asks.

        Raises:
            Unavailable: the feed is away.
        """
        names = {*self._followed, *await self._keeping.stores()}
        if not names:
            return
        here = await self._feed.heads(sorted(names))
        for name in names - set(here):
            self._followed.pop(name, None)
            await self._keeping.remove(name)
        for name in await self._keeping.judge():
            if name in self._followed:
                self._followed[name].unsaved += 1
        for name, each in list(self._followed.items()):
            await self._swept(name, each, here.get(name))

    async def _swept(self, name: str, followed: Followed, head: int | None) -> None:
        try:
            if followed.turn.locked():  # it is being brought up to date, which may take long
                return
            if followed.collection.seq != head:
                await self._pulled(followed)
            await self._keeping.clean(followed)
            if time.monotonic() - followed.asked_at > IDLE_S and not self._keeping.busy:
                await self._let_go(name, followed)
        except (NotFound, Lost):
            log.info("%s is gone, or must be read anew", name)
        except Unavailable:
            raise
        except Exception:
            log.exception("%s could not be looked at", name)  # the others must be all the same

    async def make_room(self) -> None:
        """Let go of the stores asked least recently, where all together take more memory than they may."""
        here = {name: each for name, each in self._followed.items() if name not in self._leaving}
        surplus = [here[name] for name in self._memory.surplus(here, self._loading.size_bytes)]
        self._leaving.update(each.store.store_id for each in surplus)
        try:
            for followed in surplus:
                await self._put_out(followed)
        finally:
            self._leaving.difference_update(each.store.store_id for each in surplus)

    async def _put_out(self, followed: Followed) -> None:
        """With a snapshot where there soon is one: it only saves time, and others wait for the room."""
        name, asked_at = followed.store.store_id, followed.asked_at
        log.info("%s leaves memory: search.memory_bytes is reached", name)
        try:
            await waited(self._let_go(name, followed, SAVE_WAIT_S), ROOM_WAIT_S)
        except Lost:
            log.info("%s must be read anew", name)
        except MantaError as error:
            log.info("there is no new snapshot of %s: %s", name, error.message)
        except Exception:
            log.exception("there is no new snapshot of %s", name)
        self._forget(name, followed, asked_at)

    async def close(self) -> None:
        """Leave a snapshot of each store that changed; none where the feed cannot tell what was removed since."""
        self._loading.cancel()
        try:
            for followed in list(self._followed.values()):
                await self._left(followed)
            await self._keeping.judge()
        except Unavailable as error:
            log.warning("no snapshots are kept: %s", error.message)
            for name in self._followed:
                await self._keeping.remove(name)

    async def _left(self, followed: Followed) -> None:
        try:
            await self._keeping.end(followed)
            await self._saved(followed)
        except (NotFound, Lost):
            log.info("%s is gone, or must be read anew", followed.store.store_id)
        except Unavailable:
            raise
        except Exception:
            log.exception("there is no snapshot of %s", followed.store.store_id)

    async def _let_go(self, name: str, followed: Followed, save_wait_s: float | None = None) -> None:
        """Unless somebody asks while it is saved."""
        asked_at = followed.asked_at
        await self._saved(followed, save_wait_s)
        self._forget(name, followed, asked_at)

    def _forget(self, name: str, followed: Followed, asked_at: float) -> None:
        if followed.asked_at == asked_at and self._followed.get(name) is followed:
            del self._followed[name]

    async def _saved(self, followed: Followed, wait_s: float | None = None) -> None:
        """As the store is now. What is removed while it is written is found by the next look at all snapshots."""
        await self._pulled(followed)
        await self._keeping.save(followed, wait_s)

    async def _known(self, store_id: str) -> Followed:
        """The store, read first if need be."""
        if (followed := self._followed.get(store_id)) is not None:
            return followed
        return await self._loading.wait(store_id)

    async def _load(self, store_id: str, lane: Lane) -> Followed:
        await lane.grown(await self._keeping.saved_bytes(store_id))
        await self.make_room()
        store = await self._feed.open_store(store_id)
        saved = await self._keeping.load(store)
        followed = Followed(store, saved or self._empty(store), self.meter, asked_at=time.monotonic())
        followed.gathering = Gathering(followed.search_each, self._pools.searching, self._lanes)
        await self._filled(followed, lane)
        followed.asked_at = time.monotonic()
        self._followed[store_id] = followed
        self._keeping.tidy(followed)
        return followed

    async def _filled(self, followed: Followed, lane: Lane) -> None:
        """With all that the store has; from the beginning where what is here may never have been."""
        for _ in range(2):
            try:
                return await self._pulling.pull(followed, after_page=functools.partial(self._fitted, followed, lane))
            except Lost:
                log.info("%s is read anew", followed.store.store_id)
                await self._keeping.remove(followed.store.store_id)
                followed.collection = self._empty(followed.store)
        raise Unavailable("The vector store was set back while it was read.", retry_after_s=FOLLOW_S)

    async def _fitted(self, followed: Followed, lane: Lane) -> None:
        """What is read keeps to its budget from the first page on."""
        if followed.collection.exceeds_budget:
            await lane.make_way()
            await self._keeping.melt(followed)
        await lane.grown(followed.collection.memory_bytes)

    async def _follow(self) -> None:
        lately = time.monotonic() - LATELY_S
        asked = {name: each for name, each in self._followed.items() if each.asked_at > lately}
        if not asked:
            return
        heads = await self._feed.heads(sorted(asked))
        for name, followed in asked.items():
            if followed.collection.seq == heads.get(name, followed.collection.seq):
                followed.heard_at = time.monotonic()
            elif not followed.turn.locked():
                self._renewing.add(task := asyncio.create_task(self._renewed(followed, heads[name])))
                task.add_done_callback(self._renewing.discard)
        if self._renewing:
            await asyncio.wait(self._renewing, timeout=FOLLOW_S)  # what is read anew goes on beside the others

    async def _renewed(self, followed: Followed, head: int) -> None:
        try:
            await self._caught_up(followed, head if head > followed.collection.seq else None)
        except MantaError as error:  # who asks next is told
            log.info("%s cannot be followed: %s", followed.store.store_id, error.message)
        except Exception:
            log.exception("%s cannot be followed", followed.store.store_id)

    async def _caught_up(self, followed: Followed, enough: int | None = None) -> Followed:
        """Brought up to date; another one where it must be read anew."""
        try:
            await self._pulled(followed, enough)
        except Lost:
            return await self._known(followed.store.store_id)
        return followed

    async def _pulled(self, followed: Followed, enough: int | None = None) -> None:
        """See `Pulling.pull`. What is gone or lost leaves memory."""
        name = followed.store.store_id
        try:
            await self._pulling.pull(followed, enough)
        except (NotFound, Lost) as error:
            if self._followed.get(name) is followed:
                del self._followed[name]
                if isinstance(error, Lost):
                    await self._keeping.remove(name)
            raise
        self._keeping.tidy(followed)

    def _empty(self, store: StoreKey) -> Collection:
        return Collection(Shape(store.dimensions), self._budget_bytes, self._place)
