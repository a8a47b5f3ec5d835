from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.db.session import JOBS_ROLE, Database
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.make(tmp_path / "master_keys")


@pytest.fixture(autouse=True)
def no_keys_yet(request: pytest.FixtureRequest) -> None:
    """Tables that hold nothing of another test."""
    if "postgres" in request.fixturenames:
        server: EmbeddedPostgres = request.getfixturevalue("postgres")
        query(server, "DELETE FROM data_keys")
        query(server, "DELETE FROM master_keys")


@pytest.fixture
async def jobs(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """As the role that sees every tenant."""
    made = Database(postgres.urls.jobs_url, role=JOBS_ROLE)
    yield made
    await made.close()
