"""A streaming replica that takes long reads off the primary, and never shows less than the primary would.

    async with database.reading(scope) as session:       # the replica, or the primary

Before each such read the primary says how far its log stands: what was committed until then, also by the caller's own
last request, is there, whatever process took it. The replica gets `CATCH_UP_S` to stand as far. A replica that is
behind by more, away, promoted, or one of another cluster is passed over, and the primary answers. It does not know what
is asked.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text

from api.db.session import Database, Unit
from api.scope import Scope
from configs.connections import READ_POOL_SIZE
from configs.errors import Unavailable

log = logging.getLogger(__name__)

State = Literal["ready", "behind", "unreachable", "no replica of this database"]

CATCH_UP_S = 0.1
"""How far a replica may be behind: what takes it longer to have is read from the primary."""
LOOK_S = 0.005
OPEN_S = 1.0
"""For a connection, so that a replica that is frozen, or a network that swallows, holds up one read only."""
PAUSE_S = 5.0
"""After a replica was found away, until it is asked again."""
PRIMARY = text("SELECT pg_current_wal_flush_lsn()::text, (pg_control_system()).system_identifier")
REPLICA = text("""
    SELECT pg_is_in_recovery() AND (pg_control_system()).system_identifier = :cluster,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() >= CAST(:position AS pg_lsn) END
""")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the primary's log stands, and which cluster it is."""

    position: str
    cluster: int


class ReplicatedDatabase(Database):
    """The pool of the primary, as `Database`, and one of its replica for `reading`."""

    def __init__(self, url: str, read_url: str, *, pool_size: int = READ_POOL_SIZE) -> None:
        super().__init__(url)
        self._replica = Database(read_url, pool_size=pool_size, application="manta reads")
        self._not_before = 0.0
        self._told: State = "ready"
        self._leaving: set[asyncio.Task[State]] = set()

    @asynccontextmanager
    async def reading(self, scope: Scope) -> AsyncIterator[Unit]:
        """As `Database.reading`, on the replica where that shows everything that is committed now.

        Raises:
            Unavailable: the primary is away, or the replica went away in the middle; the next one asks the primary.
        """
        unit: Unit | None = None
        try:
            async with AsyncExitStack() as opened:
                unit = await self._on_replica(scope, opened)
                yield unit if unit is not None else await opened.enter_async_context(self.snapshot(scope))
        except Unavailable:
            if unit is not None:
                self._pass_over("unreachable")
            raise

    async def replica_state(self) -> State:
        """How the replica stands, for `/readyz`. Never raises."""
        try:
            state = await self._standing_of_replica(await self._standing())
        except Unavailable:
            return "unreachable"
        return state

    async def close(self) -> None:
        """Close all connections."""
        await self._replica.close()
        await super().close()

    async def _on_replica(self, scope: Scope, opened: AsyncExitStack) -> Unit | None:
        """A unit there, which `opened` ends; None when the primary is to be read."""
        if time.monotonic() < self._not_before:
            return None
        standing = await self._standing()
        try:
            state = await self._standing_of_replica(standing)
            if state == "ready":
                async with asyncio.timeout(OPEN_S):
                    unit = await opened.enter_async_context(self._replica.snapshot(scope))
                self._tell("ready")
                return unit
        except (Unavailable, TimeoutError):
            state = "unreachable"
        self._pass_over(state)
        return None

    async def _standing(self) -> Standing:
        async with self.bare() as session:
            position, cluster = (await session.execute(PRIMARY)).one()
        return Standing(position, cluster)

    async def _standing_of_replica(self, standing: Standing) -> State:
        """After it had its time to catch up.

        Raises:
            Unavailable: it does not answer in time. Who waits does not wait until the driver has let go, which a server
                that is frozen makes long.
        """
        look = asyncio.create_task(self._look(standing))
        try:
            await asyncio.wait({look}, timeout=OPEN_S)
        finally:
            if not look.done():
                look.cancel()
                self._leaving.add(look)
                look.add_done_callback(self._left)
        if not look.done():
            raise Unavailable("The replica does not answer in time.")
        return look.result()

    async def _look(self, standing: Standing) -> State:
        values = {"position": standing.position, "cluster": standing.cluster}
        async with self._replica.bare() as session:
            await session.connection(execution_options={"postgresql_readonly": True})
            until = time.monotonic() + CATCH_UP_S
            while True:
                own, caught_up = (await session.execute(REPLICA, values)).one()
                if not own:
                    return "no replica of this database"
                if caught_up:
                    return "ready"
                if time.monotonic() >= until:
                    return "behind"
                await asyncio.sleep(LOOK_S)

    def _left(self, look: asyncio.Task[State]) -> None:
        self._leaving.discard(look)
        if not look.cancelled() and (error := look.exception()) is not None:
            log.debug("a look at the replica that nobody waits for: %s", type(error).__name__)

    def _pass_over(self, state: State) -> None:
        if state != "behind":  # that may change with the next read
            self._not_before = time.monotonic() + PAUSE_S
        self._tell(state)

    def _tell(self, state: State) -> None:
        if state != self._told:
            log.warning("the replica of DATABASE_READ_URL is %s: %s", state, MEANINGS[state])
            self._told = state


MEANINGS: dict[State, str] = {
    "ready": "long reads go there again",
    "behind": "the primary answers long reads until it has caught up",
    "unreachable": "the primary answers long reads until it is back",
    "no replica of this database": "the primary answers; name a streaming replica of DATABASE_URL",
}
