"""Stores that are being read, each by one task however many ask for it. It knows no feed and no disk."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from configs.errors import Unavailable
from retrieval.followed import Followed
from retrieval.pacing import waited

READ_WAIT_S = 20.0
"""How long a question waits for a store that is being read; reading goes on after it."""
WAITING_FOR_ONE, WAITING = 64, 128
"""Questions that wait for one store, and for all: each holds a place that one about another store could have."""
ASK_AGAIN_S = 1.0


class Loading:
    """`read` gives a store of that id. Made on the loop that uses it."""

    def __init__(self, read: Callable[[str], Coroutine[Any, Any, Followed]]) -> None:
        self._read = read
        self._tasks: dict[str, asyncio.Task[Followed]] = {}
        self._waiting: Counter[str] = Counter()

    async def wait(self, store_id: str) -> Followed:
        """The store once it is read. Whatever `read` raises, all who wait get.

        Raises:
            Unavailable: it takes longer than READ_WAIT_S, or enough others wait already.
        """
        with self._place(store_id):
            return await waited(self._tasks.get(store_id) or self._begun(store_id), READ_WAIT_S)

    def cancel(self) -> None:
        """Read no more of what is being read."""
        for task in list(self._tasks.values()):
            task.cancel()

    def _begun(self, store_id: str) -> asyncio.Task[Followed]:
        task = self._tasks[store_id] = asyncio.create_task(self._read(store_id))
        task.add_done_callback(lambda _: self._tasks.pop(store_id, None))
        return task

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
