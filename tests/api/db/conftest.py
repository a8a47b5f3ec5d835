from collections.abc import AsyncIterator

import pytest

from api.db.session import Database
from configs.postgres import EmbeddedPostgres
from tests.fixtures.knowledge import empty, jobs_database


@pytest.fixture
async def jobs(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The role of jobs, where no store is."""
    empty(postgres)
    async with jobs_database(postgres) as database:
        yield database
    empty(postgres)
