from collections.abc import AsyncIterator, Iterator

import pytest

from api.db.session import Database
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import bucket_server
from tests.fixtures.database import migrated, reached


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A migrated server that all tests share; whoever stops it brings it back."""
    with migrated() as server:
        yield server


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    async with reached(postgres) as made:
        yield made


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """A server that speaks S3."""
    with bucket_server() as address:
        yield address
