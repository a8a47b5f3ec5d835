"""The connection pool and the one unit of work.

    async with database.unit() as session:      # commits at the end, rolls back on any exception
        ...

No unit is held open while tokens flow. It does not know what is asked.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from configs.errors import Unavailable

POOL_SIZE = 4
POOL_WAIT_S = 2.0
CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_MS = 5000


class Database:
    """A pool, made in the process and on the loop that use it."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE, application: str = "manta") -> None:
        self._engine = create_async_engine(
            psycopg_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": application,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
                "prepare_threshold": None,
            },
        )
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[AsyncSession]:
        """One transaction.

        Raises:
            Unavailable: the database cannot be reached, or its pool stays empty.
        """
        try:
            async with self._sessions.begin() as session:
                yield session
        except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
            raise Unavailable("The database cannot be reached.", retry_after_s=2.0) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Unavailable("The database cannot be reached.", retry_after_s=2.0) from error
            raise

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def psycopg_url(url: str) -> str:
    """The URL with SQLAlchemy's name of the driver."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url
