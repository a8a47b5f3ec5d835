"""The connection pool and the one unit of work.

    async with database.unit(scope) as session:      # commits at the end, rolls back on any exception
        ...

The scope says for whom: row level security shows nothing of any tenant without it. It lasts for the transaction, so a
pooled connection carries nobody's rights to the next. No unit is held open while tokens flow. It does not know what is
asked.
"""

import asyncio
import logging
import os
import select
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from psycopg import AsyncConnection, Error
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from api.scope import Scope
from configs.connections import POOL_SIZE
from configs.errors import Unavailable

log = logging.getLogger(__name__)

POOL_WAIT_S = 6.0
"""Longer than a queue of people takes where all cores are busy; less than the deadline."""
CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_MS = 5000
"""Jobs, which have no deadline, have no such limit either."""
DEADLINE_S = 8.0
"""Of a whole unit of work: a server that is frozen, or a network that swallows, ends no statement by itself."""
KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""libpq's, over TCP: a router forgets connections that rest, and a peer that is gone tells nobody. Seconds, and ms."""
PINGED_AFTER_S = 60.0
"""A connection that rested longer is asked whether it lives before it is used."""
PING_S = 1.0
APP_ROLE = "manta_app"
JOBS_ROLE = "manta_jobs"
AUDIT_ROLE = "manta_audit"
BY_KEY = {"enable_bitmapscan": "off"}
Unit = AsyncSession
"""What a unit of work is handed; `api.db` knows what to do with it."""


class Database:
    """A pool, made in the process and on the loop that use it."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = POOL_SIZE,
        application: str = "manta",
        role: str = APP_ROLE,
        deadline_s: float | None = DEADLINE_S,
    ) -> None:
        self._deadline_s = deadline_s
        self._turns = asyncio.Semaphore(pool_size)
        """In the order in which they come; and who waits in vain is told so, not that the database is away."""
        given = make_url(psycopg_url(url))
        self._role = None if given.username == role else role
        """What this account becomes for each unit of work, where it has no login of that role."""
        self._engine = create_async_engine(
            psycopg_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S,
            connect_args={name: value for name, value in KEEPALIVE.items() if name not in given.query}
            | {
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": application,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS if deadline_s is not None else 0}",
                "prepare_threshold": None,
            },
        )
        event.listen(self._engine.sync_engine, "checkin", _rests)
        event.listen(self._engine.sync_engine, "checkout", _refuse_dead)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @asynccontextmanager
    async def unit(self, scope: Scope | None = None, *, by_key: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction, on behalf of `scope`.

        `by_key`: all that it reads has a key. In tables that nobody has analyzed yet PostgreSQL would rather combine
        that key's index with the one of everything that an organization has.

        Raises:
            Unavailable: the database cannot be reached, or its pool stays empty.
        """
        async with self._translated(), self._sessions.begin() as session:
            await self._enter(session, scope, BY_KEY if by_key else {})
            yield session

    @asynccontextmanager
    async def snapshot(self, scope: Scope | None = None) -> AsyncIterator[AsyncSession]:
        """One transaction that only reads, and sees the database as it is at one moment. Errors as `unit`."""
        async with self._translated(), self._sessions.begin() as session:
            await session.connection(
                execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            )
            await self._enter(session, scope)
            yield session

    @asynccontextmanager
    async def reading(self, scope: Scope) -> AsyncIterator[AsyncSession]:
        """`snapshot`, for long reads, which a replica may answer where there is one (`api.db.replica`)."""
        async with self.snapshot(scope) as session:
            yield session

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[AsyncSession]:
        """A transaction as the account itself, for looking at a database that may have no schema yet."""
        async with self._translated(), self._sessions.begin() as session:
            yield session

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._turn()
                try:
                    yield
                finally:
                    self._turns.release()
        except TimeoutError as error:
            raise Unavailable("The database does not answer in time.", retry_after_s=2.0) from error
        except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
            log.warning("a unit of work failed: %s", error)
            raise Unavailable("The database cannot be reached.", retry_after_s=2.0) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Unavailable("The database cannot be reached.", retry_after_s=2.0) from error
            raise

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(POOL_WAIT_S):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("All connections to the database are busy.", retry_after_s=2.0) from None

    async def _enter(
        self, session: AsyncSession, scope: Scope | None, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        wanted = {"role": self._role} if self._role else {}
        await _configure(session, wanted | (_of(scope) if scope is not None else {}) | dict(settings))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


@asynccontextmanager
async def acting(session: Unit, scope: Scope, then: Scope) -> AsyncIterator[None]:
    """A part of a unit of work on behalf of another `scope`; after it the unit is `then`'s again."""
    await _configure(session, _of(scope))
    yield
    await _configure(session, _of(then))


def _of(scope: Scope) -> dict[str, str]:
    return {"manta.org": scope.organization_id, "manta.user": scope.user_id}


async def _configure(session: Unit, wanted: dict[str, str]) -> None:
    if wanted:
        calls = ", ".join(f"set_config('{name}', :v{number}, true)" for number, name in enumerate(wanted))
        values = {f"v{number}": value for number, value in enumerate(wanted.values())}
        await session.execute(text(f"select {calls}"), values)


def _rests(_: object, record: Any) -> None:  # noqa: ANN401  SQLAlchemy's, of no public type
    record.info["rests_since"] = time.monotonic()


def _refuse_dead(connection: Any, record: Any, _: object) -> None:  # noqa: ANN401  SQLAlchemy's, of no public type
    """A pooled connection of which something can be read was ended by the server: the pool takes another.

    That is known without asking the server, which would cost as much as a statement in each unit of work. It is asked
    where the connection rested for long: what lies between may have dropped it without a word.
    """
    idle = select.poll()
    idle.register(connection.driver_connection.fileno(), select.POLLIN)
    if idle.poll(0):
        raise DisconnectionError("the server ended this connection")
    now = time.monotonic()
    if now - record.info.get("rests_since", now) > PINGED_AFTER_S:
        connection.run_async(_ping)


async def _ping(connection: AsyncConnection[Any]) -> None:
    descriptor = connection.fileno()

    def cut() -> None:
        with socket.socket(fileno=os.dup(descriptor)) as same:
            same.shutdown(socket.SHUT_RDWR)

    late = asyncio.get_running_loop().call_later(PING_S, cut)
    try:
        await connection.execute("SELECT 1")
        await connection.rollback()
    except Error as error:
        raise DisconnectionError("this connection was dropped while it rested") from error
    finally:
        late.cancel()


def psycopg_url(url: str) -> str:
    """The URL with SQLAlchemy's name of the driver."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url
