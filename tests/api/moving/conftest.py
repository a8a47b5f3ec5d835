from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.db.session import JOBS_ROLE, Database
from api.vault.vault import Vault
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.api.moving.arrivals import Arrivals
from tests.fixtures.database import query

TABLES = ("imported", "messages", "conversations", "data_keys", "master_keys", "memberships", "users")


@pytest.fixture
async def arrivals(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Arrivals]:
    """A place to move into, where nobody is yet."""
    for table in TABLES:
        query(postgres, f"DELETE FROM {table}")
    database = Database(postgres.urls.jobs_url, role=JOBS_ROLE)
    yield Arrivals(postgres, database, Vault(Keyring.make(tmp_path / "master_keys")))
    await database.close()
