from collections.abc import Iterator
from pathlib import Path

import pytest

from api.backup.store import Store
from configs import postgres_cluster, postgres_settings
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import fill, keyring, store_in, until
from tests.fixtures.data_dirs import open_folder, quick
from tests.fixtures.database import migrated, query


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    return keyring(tmp_path)


@pytest.fixture
def store(tmp_path: Path, keys: Keyring) -> Store:
    return store_in(tmp_path / "target", keys)


@pytest.fixture(scope="package", autouse=True)
def unflushed() -> Iterator[None]:
    """Nothing here is about a machine that loses its power, and these servers live for seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(postgres_settings.DURABLE, "fsync", "off")
        patch.setattr(postgres_cluster, "OPTIONS", [*postgres_cluster.OPTIONS, "--no-sync"])
        yield


@pytest.fixture(scope="package")
def filled(unflushed: None) -> Iterator[EmbeddedPostgres]:
    """A server with rows. Tests add rows and never take any away."""
    with migrated(quick()) as server:
        fill(server)
        yield server


@pytest.fixture
def fresh() -> Iterator[Path]:
    """Where a restored installation may lie, beside nothing."""
    with open_folder(quick()) as root:
        yield root / "restored"


@pytest.fixture
def server(filled: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """The same, with its log shipped nowhere afterwards. Whoever stops it brings it back."""
    yield filled
    until(lambda: query(filled, "select 1 from pg_stat_replication") == [])
    filled.drop_slots()
