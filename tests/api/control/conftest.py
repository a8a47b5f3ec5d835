from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.control.feed import StoreFeed
from api.db.session import Database
from api.scope import DEFAULT_ORGANIZATION, Scope
from api.vault.vault import Vault
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query
from tests.fixtures.erasing import somebody
from tests.fixtures.reembedded import Life
from tests.fixtures.shelves import Replica, Shelf, jobs_of


@pytest.fixture
async def jobs(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """As the role that sees every tenant."""
    made = jobs_of(postgres)
    yield made
    await made.close()


@pytest.fixture
def vault(postgres: EmbeddedPostgres, tmp_path: Path) -> Vault:
    query(postgres, "DELETE FROM data_keys")
    query(postgres, "DELETE FROM master_keys")
    return Vault(Keyring.make(tmp_path / "master_keys"))


@pytest.fixture
async def store(postgres: EmbeddedPostgres, database: Database, jobs: Database, vault: Vault) -> Shelf:
    """An empty one of a person."""
    made = Shelf(database, jobs, vault, Scope(DEFAULT_ORGANIZATION, somebody(postgres)))
    await made.make()
    return made


@pytest.fixture
def feed(jobs: Database, vault: Vault) -> StoreFeed:
    return StoreFeed(jobs, vault, page_chunks=3)


@pytest.fixture
async def replica(feed: StoreFeed, tmp_path: Path) -> AsyncIterator[Replica]:
    made = Replica(feed, tmp_path / "search")
    yield made
    made.threads.shutdown()


@pytest.fixture
def life(store: Shelf, postgres: EmbeddedPostgres, feed: StoreFeed, tmp_path: Path) -> Life:
    return Life(store, postgres, Replica(feed, tmp_path / "search"))
