"""Stores that are being read, each by one task however many ask for it. It knows no feed and no disk."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Self

from configs.errors import Unavailable
from retrieval.followed import Followed
from retrieval.pacing import waited

READ_WAIT_S = 20.0
"""How long a question waits for a store that is being read; reading goes on after it."""
WAITING_FOR_ONE, WAITING = 64, 128
"""Questions that wait for one store, and for all: each holds a place that one about another store could have."""
ASK_AGAIN_S = 1.0
LOADS = 2
"""Stores that are read at the same time: until then nobody knows how much memory they take."""
LARGE_BYTES = 32 * 2**20
"""A store that takes more is read beside the others, one such at a time: it takes seconds or minutes."""


class Lane:
    """The place of a store among those that are being read, as long as it is entered."""

    def __init__(self, small: asyncio.Semaphore, large: asyncio.Semaphore) -> None:
        self.size_bytes = 0
        self._large = large
        self._held: asyncio.Semaphore | None = None
        self._first = small

    async def __aenter__(self) -> Self:
        await self._first.acquire()
        self._held = self._first
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    async def grown(self, size_bytes: int) -> None:
        """The store takes so much by now; a large one makes way, and waits for its turn among large ones."""
        self.size_bytes = size_bytes
        if size_bytes > LARGE_BYTES:
            await self.make_way()

    async def make_way(self) -> None:
        """Others go on in its place: what comes takes long."""
        if self._held is not self._large:
            self._leave()
            await self._large.acquire()
            self._held = self._large

    def _leave(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None


class Loading:
    """`read` gives a store of that id, and tells its lane how it grows. Made on the loop that uses it."""

    def __init__(self, read: Callable[[str, Lane], Awaitable[Followed]]) -> None:
        self._read = read
        self._small, self._large = asyncio.Semaphore(LOADS), asyncio.Semaphore(1)
        self._tasks: dict[str, asyncio.Task[Followed]] = {}
        self._lanes: set[Lane] = set()
        self._waiting: Counter[str] = Counter()

    async def wait(self, store_id: str) -> Followed:
        """The store once it is read. Whatever `read` raises, all who wait get.

        Raises:
            Unavailable: it takes longer than READ_WAIT_S, or enough others wait already.
        """
        with self._place(store_id):
            return await waited(self._tasks.get(store_id) or self._begun(store_id), READ_WAIT_S)

    @property
    def size_bytes(self) -> int:
        """What the stores that are being read take by now, or their snapshots where these are being read."""
        return sum(lane.size_bytes for lane in self._lanes)

    def cancel(self) -> None:
        """Read no more of what is being read."""
        for task in list(self._tasks.values()):
            task.cancel()

    def _begun(self, store_id: str) -> asyncio.Task[Followed]:
        task = self._tasks[store_id] = asyncio.create_task(self._read_in_lane(store_id))
        task.add_done_callback(lambda _: self._tasks.pop(store_id, None))
        return task

    async def _read_in_lane(self, store_id: str) -> Followed:
        async with Lane(self._small, self._large) as lane:
            self._lanes.add(lane)
            try:
                return await self._read(store_id, lane)
            finally:
                self._lanes.remove(lane)

    @contextmanager
    def _place(self, store_id: str) -> Iterator[None]:
        if self._waiting[store_id] >= WAITING_FOR_ONE or self._waiting.total() >= WAITING:
            raise Unavailable("The vector store is still being read.", retry_after_s=ASK_AGAIN_S)
        self._waiting[store_id] += 1
        try:
            yield
        finally:
            self._waiting[store_id] -= 1
            if not self._waiting[store_id]:
                del self._waiting[store_id]
