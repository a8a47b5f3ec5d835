"""Leases as the ingress holds them: a slot on a replica, taken once and used for many requests.

Taking a lease is one Serve call (0.8 ms); using one that is at hand costs nothing. A lease that is given back stays at
hand for LINGER_S, and is used for at most MAX_AGE_S, so that a replica that drains or a new one is noticed soon. Serve
counts held leases, which is what is running plus at most LINGER_S of what just ran. It knows no user and no HTTP.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle

from configs.errors import ModelStarting, Overloaded, Unavailable
from serving.link.client import Address, Link
from serving.links import Links
from serving.start_watch import StartWatch
from serving.status import Status

log = logging.getLogger(__name__)

LINGER_S = 0.5
MAX_AGE_S = 15.0
RETRY_S = 0.1
REPLACE_AFTER_S = 5.0
BUSY_RETRY_AFTER_S = 1.0

_PROCESS = os.urandom(6).hex()
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment that gives leases, what messages call it, and what tells why it did not start."""

    app: str
    deployment: str
    what: str = "model"
    told_by: str = "`manta models list`"


@dataclass(eq=False)
class Lease:
    """One slot on one replica."""

    id: str
    link: Link
    replica: str
    taken_at: float
    stream: AsyncIterator[str]
    pool: "Leases" = field(repr=False)
    idle_since: float = 0.0
    ended: bool = False
    watcher: asyncio.Task[None] | None = field(default=None, repr=False)

    def usable(self, now: float) -> bool:
        """Whether another request may run on it."""
        return not self.ended and self.link.alive and now - self.taken_at < MAX_AGE_S

    def give_back(self) -> None:
        """The request that ran on it is over."""
        self.pool.give_back(self)


class Leases:
    """The leases of one deployment in this process."""

    def __init__(self, target: Target, links: Links, status: Status) -> None:
        self._target = target
        self._start = StartWatch(lambda: status.failed(target.app))
        self._links = links
        self._idle: list[Lease] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._handle = self._new_handle()
        self._replaced_at = self._loop.time()

    async def take(self, deadline: float) -> Lease:
        """A slot, waiting for one until `deadline` (loop time): for capacity, a wake-up or a restart.

        Raises:
            Overloaded: Serve's queue for it is full.
            ModelStarting: no replica came up in time.
            Unavailable: Serve gave up starting it.
        """
        while self._idle:
            lease = self._idle.pop()
            if lease.usable(self._loop.time()):
                return lease
            self._end(lease)
        return await self._take_new(deadline)

    def give_back(self, lease: Lease) -> None:
        """The request on this lease is over."""
        now = self._loop.time()
        if not lease.usable(now):
            self._end(lease)
            return
        lease.idle_since = now
        self._idle.append(lease)
        if self._sweep is None:
            self._sweep = self._loop.call_later(LINGER_S, self._end_idle)

    def close(self) -> None:
        """End all idle leases; the model is gone."""
        for lease in self._idle:
            self._end(lease)
        self._idle.clear()

    async def _take_new(self, deadline: float) -> Lease:
        while True:
            left = deadline - self._loop.time()
            if left <= 0:
                raise ModelStarting(f"No replica of this {self._target.what} became ready in time.", retry_after_s=5.0)
            asked = self._handle
            try:
                async with asyncio.timeout(left) as limit:
                    with self._start.waiting(limit):
                        return await self._ask()
            except BackPressureError as error:
                text = f"This {self._target.what}'s queue is full."
                raise Overloaded(text, retry_after_s=BUSY_RETRY_AFTER_S) from error
            except TimeoutError:
                if self._start.failed:
                    raise self._failed() from None
            except DeploymentUnavailableError as error:
                if await self._start.look():
                    raise self._failed() from error
                await asyncio.sleep(RETRY_S)
            except (RayError, RayServeException, OSError, Unavailable, StopAsyncIteration) as error:
                log.info("a lease of %s was not given (%s); asking again", self._target.app, type(error).__name__)
                await asyncio.sleep(RETRY_S)
                self._replace(asked)

    async def _ask(self) -> Lease:
        lease_id = f"{_PROCESS}-{next(_numbers):x}"
        stream = self._handle.lease.remote(lease_id)
        try:
            host, port, tls, replica = orjson.loads(await stream.__anext__())
            link = await self._links.get(Address(host, port, tls))
        except BaseException:
            stream.cancel()
            raise
        lease = Lease(lease_id, link, replica, self._loop.time(), stream, self)
        lease.watcher = self._loop.create_task(self._watch(lease))
        return lease

    async def _watch(self, lease: Lease) -> None:
        try:
            async for _ in lease.stream:
                pass
        except (RayError, RayServeException) as error:
            log.info("a lease of %s ended: %s", self._target.app, type(error).__name__)
        finally:
            lease.ended = True

    def _end(self, lease: Lease) -> None:
        if not lease.ended:
            lease.ended = True
            lease.link.release(lease.id)

    def _end_idle(self) -> None:
        now = self._loop.time()
        stale = [lease for lease in self._idle if now - lease.idle_since >= LINGER_S]
        self._idle = [lease for lease in self._idle if now - lease.idle_since < LINGER_S]
        for lease in stale:
            self._end(lease)
        self._sweep = self._loop.call_later(LINGER_S, self._end_idle) if self._idle else None

    def _replace(self, failed: DeploymentHandle) -> None:
        """A handle whose application was deleted and made again finds nobody any more; one is made for all waiters.

        Seldom: Serve never takes a handle back (see `serving.calls`).
        """
        now = self._loop.time()
        if self._handle is failed and now - self._replaced_at > REPLACE_AFTER_S:
            self._handle, self._replaced_at = self._new_handle(), now

    def _new_handle(self) -> DeploymentHandle:
        return DeploymentHandle(self._target.deployment, self._target.app).options(stream=True)

    def _failed(self) -> Unavailable:
        """Why is for those who may ask: it can name files of this machine."""
        return Unavailable(f"This {self._target.what} could not be started; {self._target.told_by} tells why.")
