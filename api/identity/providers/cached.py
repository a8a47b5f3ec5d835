"""A value that is loaded when it is wanted and kept for a while; those who ask meanwhile wait for one loading.

It does not know what the value is.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")
Clock = Callable[[], float]


class Cached(Generic[Value]):
    """One value, at most `max_age_s` old. What could not be loaded is asked for again by the next who wants it."""

    def __init__(self, load: Callable[[], Awaitable[Value]], max_age_s: float, clock: Clock = time.monotonic) -> None:
        self._load = load
        self._max_age_s = max_age_s
        self._clock = clock
        self._kept: tuple[Value, float] | None = None
        self._loading: asyncio.Task[Value] | None = None

    @property
    def is_loading(self) -> bool:
        """Whether somebody waits for a new value."""
        return self._loading is not None and not self._loading.done()

    async def get(self) -> Value:
        """The value; raises what the loading raises."""
        if self._kept is not None and self._clock() - self._kept[1] < self._max_age_s:
            return self._kept[0]
        return await self.renewed()

    async def renewed(self) -> Value:
        """A value loaded now. A caller that gives up does not take the loading from the others."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.ensure_future(self._load_and_keep())
            self._loading.add_done_callback(_look_at)
        return await asyncio.shield(self._loading)

    async def _load_and_keep(self) -> Value:
        value = await self._load()
        self._kept = value, self._clock()
        return value


def _look_at(task: asyncio.Task[Value]) -> None:
    """The error went to those who waited; if none is left, it is nobody's."""
    if not task.cancelled():
        task.exception()
