"""Whether there is a start to wait for: asked of Serve while requests wait for a replica.

Serve tells its handles that it gave up only when the last replica's end and the verdict fall into one turn of its
loop, so a request that only waits for a lease may wait for nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

log = logging.getLogger(__name__)

LOOK_AFTER_S = 1.0
"""Longer than a lease takes where a replica runs, so that nobody looks then."""


class StartWatch:
    """Ends the waiting of one model's requests once its start has failed."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        """`ask` blocks, and says whether Serve gave up."""
        self.failed = False
        self._ask = ask
        self._limits: set[asyncio.Timeout] = set()
        self._looking: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def waiting(self, limit: asyncio.Timeout) -> Iterator[None]:
        """What is awaited inside ends by `limit` as soon as it is hopeless; `failed` then says so."""
        self._limits.add(limit)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_again())
        try:
            yield
        finally:
            self._limits.discard(limit)

    async def look(self) -> bool:
        """Whether the start failed, as of now; not while nobody can say."""
        try:
            self.failed = await asyncio.to_thread(self._ask)
        except (RayError, RayServeException) as error:
            log.info("Serve did not say how its models stand (%s)", type(error).__name__)
            self.failed = False
        return self.failed

    async def _look_again(self) -> None:
        try:
            while self._limits:
                await asyncio.sleep(0 if self.failed else LOOK_AFTER_S)
                if self._limits and await self.look():
                    self._end_all()
        finally:
            self._looking = None

    def _end_all(self) -> None:
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(now)
        self._limits.clear()
