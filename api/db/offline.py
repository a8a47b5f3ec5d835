"""The database while nothing runs: the embedded one is started for a moment, one of the operator's is used as it is.

Whoever works here holds the data directory, so that no `manta serve` starts meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from api.db import schema
from api.db.session import AUDIT_ROLE, JOBS_ROLE, Database
from api.scope import INSTALLATION, Scope
from configs import postgres_cluster
from configs.datadir import Layout
from configs.errors import ConfigurationError
from configs.postgres import DatabaseUrls, EmbeddedPostgres

Result = TypeVar("Result")
WAIT_S = 60.0
"""For other commands that hold the directory for a moment."""


@dataclass(frozen=True)
class OfflineDatabase:
    """The database of a data directory, or the operator's at `url`."""

    layout: Layout
    url: SecretStr | None
    running: DatabaseUrls | None = None
    """Set when the embedded one runs already, under somebody else's hold."""

    def exists(self) -> bool:
        """Whether there is one to ask: the operator's, or the one that an earlier start made."""
        return self.url is not None or postgres_cluster.path(self.layout).exists()

    @contextmanager
    def reached(self) -> Iterator[DatabaseUrls]:
        """How to reach it; it answers inside the block.

        Raises:
            MantaError: the directory is in use, or the server does not start.
        """
        if self.running is not None:
            yield self.running
            return
        if self.url is not None:
            url = self.url.get_secret_value()
            yield DatabaseUrls(owner_url=url, app_url=url, audit_url=url, jobs_url=url)
            return
        with self.layout.hold(command="manta", wait_s=WAIT_S), EmbeddedPostgres(self.layout) as server:
            yield server.urls

    def unit(self, work: Callable[[AsyncSession], Awaitable[Result]], scope: Scope = INSTALLATION) -> Result:
        """One unit of work, on behalf of `scope`. The embedded database is brought to this code's schema first.

        Raises:
            ConfigurationError: the operator's database has another schema.
            MantaError: see `reached`.
        """
        with self.reached() as urls:
            if self.url is None:
                schema.upgrade(urls.owner_url)
            return asyncio.run(_unit(urls.app_url, work, scope=scope))

    def audited(self, work: Callable[[Database], Awaitable[Result]]) -> Result:
        """Work on the whole audit log, as the role that reads it.

        Raises:
            ConfigurationError: the database has another schema.
            MantaError: see `reached`.
        """
        with self.reached() as urls:
            return asyncio.run(_as(AUDIT_ROLE, urls.audit_url, work))

    def as_jobs(self, work: Callable[[Database], Awaitable[Result]]) -> Result:
        """Work in many units, as the role that sees every tenant. The stack may run meanwhile.

        Raises:
            ConfigurationError: the database has another schema.
            MantaError: see `reached`.
        """
        with self.reached() as urls:
            if self.url is None and self.running is None:
                schema.upgrade(urls.owner_url)
            return asyncio.run(_as(JOBS_ROLE, urls.jobs_url, work))

    def revision(self) -> str | None:
        """The schema's revision; None when it was never migrated.

        Raises:
            MantaError: see `reached`.
        """
        with self.reached() as urls:
            return asyncio.run(_unit(urls.app_url, schema.present, checked=False))

    def upgrade(self) -> tuple[str | None, str]:
        """Migrate; the revisions before and after.

        Raises:
            MantaError: see `reached`.
        """
        with self.reached() as urls:
            return schema.upgrade(urls.owner_url)


async def _as(role: str, url: str, work: Callable[[Database], Awaitable[Result]]) -> Result:
    database = Database(url, pool_size=1, application="manta command", role=role)
    try:
        async with database.bare() as session:
            await _refuse_other_schema(session)
        return await work(database)
    finally:
        await database.close()


async def _refuse_other_schema(session: AsyncSession) -> None:
    if await schema.present(session) != schema.wanted():
        raise ConfigurationError("the database has another schema than this version wants: `manta db upgrade`")


async def _unit(
    url: str, work: Callable[[AsyncSession], Awaitable[Result]], *, checked: bool = True, scope: Scope = INSTALLATION
) -> Result:
    database = Database(url, pool_size=1, application="manta command")
    try:
        async with database.unit(scope) if checked else database.bare() as session:
            if checked:
                await _refuse_other_schema(session)
            return await work(session)
    finally:
        await database.close()
