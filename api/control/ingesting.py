"""Files that vector stores wait for: claimed here, worked on elsewhere, written here, as the role of jobs.

Only the leader claims. A notification wakes it; every few seconds it looks by itself. A leader that is new takes over
at once what another one had: the other's work writes nothing any more.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Self

from api.control.ingest_group import Desk, GroupWork
from api.db import ingest as queries
from api.db.notifications import listen
from api.db.session import JOBS_ROLE, Database
from api.files.place import place_of_files
from api.vault.vault import Vault
from configs.cluster import Cluster
from configs.connections import INGEST_POOL_SIZE
from configs.errors import Unavailable
from serving.ingest.worker import RayRunner

log = logging.getLogger(__name__)

POLL_S = 5.0
REST_S = 60.0
"""Without work for so long, workers give their memory back."""


class Ingesting:
    """The loop, and the groups that are on their way."""

    def __init__(self, desk: Desk, url: str, leads: Callable[[], Awaitable[bool]], poll_s: float = POLL_S) -> None:
        self._desk = desk
        self._url = url
        self._leads = leads
        self._poll_s = poll_s
        self._led = False
        self._after = ""
        self._groups: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._settled_at = self._worked_at = -REST_S

    @classmethod
    def of(cls, cluster: Cluster, leads: Callable[[], Awaitable[bool]]) -> Self:
        """With connections of its own, on Ray."""
        url = (cluster.jobs_url or cluster.database_url).get_secret_value()
        database = Database(
            url, pool_size=INGEST_POOL_SIZE, application="manta ingest", role=JOBS_ROLE, deadline_s=None
        )
        spec = cluster.configuration.ingest
        runner = RayRunner(spec, cluster.configuration.general_settings.log_level)
        return cls(Desk(database, Vault(cluster.masters()), place_of_files(cluster), runner, spec), url, leads)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen(self._url, [queries.CHANNEL], lambda _: self._wake.set()))
            tasks.create_task(self._loop())

    async def metrics(self) -> bytes:
        """As Prometheus reads them."""
        try:
            async with self._desk.database.unit() as unit:
                waiting, working = await queries.standing(unit)
        except Unavailable:
            return self._desk.meter.page(math.nan, math.nan)
        return self._desk.meter.page(waiting, working)

    async def close(self) -> None:
        """Cancel what is on its way, give it back, and close the connections."""
        for group in self._groups:
            group.cancel()
        await asyncio.gather(*self._groups, return_exceptions=True)
        await self._desk.runner.rest()
        await self._desk.database.close()

    async def _loop(self) -> None:
        while True:
            try:
                await self._turn()
            except Unavailable:
                log.info("the database is away; files wait")
            except Exception:
                log.exception("files could not be claimed")
            await self._sleep()

    async def _turn(self) -> None:
        if not await self._leads():
            self._led = False
            return
        if not self._led and not self._groups:
            async with self._desk.database.unit() as unit:
                await queries.release_all(unit)
        self._led = True
        if time.monotonic() - self._settled_at >= self._poll_s:
            async with self._desk.database.unit() as unit:
                settled = await queries.settle(unit)
            self._desk.meter.abandoned(settled)
            self._settled_at = time.monotonic()
        while len(self._groups) < self._desk.spec.workers and await self._begun():
            pass
        if self._groups:
            self._worked_at = time.monotonic()
        elif time.monotonic() - self._worked_at >= REST_S:
            await self._desk.runner.rest()

    async def _begun(self) -> bool:
        """Whether there was a group to begin with."""
        async with self._desk.database.unit() as unit:
            claims = await queries.claim(unit, self._after, self._desk.lease_s)
        if not claims:
            return False
        self._after = claims[-1].hold.store_id
        group = asyncio.create_task(GroupWork(self._desk, claims).run())
        self._groups.add(group)
        group.add_done_callback(self._ended)
        return True

    def _ended(self, group: "asyncio.Task[None]") -> None:
        self._groups.discard(group)
        self._wake.set()

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
