"""An archivist that cannot begin says why and what to do, and begins when that is done. Every hindrance is real."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.backup import archivist as archivists
from api.backup import standing as module
from api.backup.archivist import Archivist, begun
from api.backup.standing import Standing, hindrances
from api.backup.store import Store
from api.db import replicable
from api.db.replication import Replication
from configs import postgres_cluster
from configs.backup_specs import BackupSpec
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.errors import Unavailable
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from configs.specs import Configuration
from tests.fixtures.backups import Broken, add, layout_of, source_of, until
from tests.fixtures.database import bring_back, query

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PERIOD_S", "PERIOD_OF_LOG_S", "RETRY_S", "FAILED_S", "SOON_S"):
        monkeypatch.setattr(archivists, name, 0.05)


@contextmanager
def at_work(store: Store, server: EmbeddedPostgres) -> Iterator[Archivist]:
    made = Archivist(store, source_of(server), BackupSpec(to="/unused", every_s=3600, keep=2))
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield made
    finally:
        made.stop.set()
        thread.join()
        module.forget(layout_of(server).data_dir)


def told(server: EmbeddedPostgres) -> list[str]:
    return hindrances(layout_of(server).data_dir)


def test_slots_that_are_all_taken(server: EmbeddedPostgres, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for number in range(10):
        query(server, f"select pg_create_physical_replication_slot('other_{number}')")
    with at_work(store, server):
        try:
            until(lambda: told(server) != [])
            (sentence,) = told(server)
            assert sentence.startswith("the log is not shipped since 2")
            assert "all 10 of PostgreSQL's replication slots are taken (idle: other_0, other_1, " in sentence
            assert sentence.endswith("drop what nobody needs with SELECT pg_drop_replication_slot('NAME')")
        finally:
            query(server, "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active")
        until(lambda: told(server) == [])
        until(lambda: len(store.ids()) == 1)
    words = [record.getMessage() for record in caplog.records if record.name == "api.backup.standing"]
    assert len(words) == 2  # however often it was tried
    assert words[1] == "the log is not shipped no more: it goes on"


def test_a_role_that_may_not_replicate(server: EmbeddedPostgres, store: Store) -> None:
    query(server, "alter role manta_backup noreplication")
    with at_work(store, server):
        try:
            until(lambda: told(server) != [])
            assert "the role manta_backup may not replicate: restart Manta, which lets it" in told(server)[0]
        finally:
            query(server, "alter role manta_backup replication")
        until(lambda: told(server) == [] and len(store.ids()) == 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("wal_level = minimal\nmax_wal_senders = 0\n", "PostgreSQL's wal_level is 'minimal', with which no log"),
        ("max_wal_senders = 0\n", "PostgreSQL's max_wal_senders is 0: restart Manta, which sets it"),
    ],
)
def test_settings_with_which_no_log_can_be_shipped(
    server: EmbeddedPostgres, store: Store, settings: str, words: str
) -> None:
    """Which only somebody can have written who stands in for us."""
    own = postgres_cluster.path(layout_of(server)) / "postgresql.auto.conf"
    server.stop()
    own.write_text(settings)
    bring_back(server)
    try:
        with at_work(store, server):
            until(lambda: told(server) != [])
            assert words in told(server)[0]
    finally:
        server.stop()
        own.write_text("")
        bring_back(server)


def test_senders_that_are_all_taken_and_other_roles(server: EmbeddedPostgres) -> None:
    assert replicable.hindrance(server.root_url) is None
    query(server, "alter role manta_backup connection limit 0")
    assert "CONNECTION LIMIT -1" in str(replicable.hindrance(server.root_url))
    query(server, "alter role manta_backup connection limit -1")
    with pytest.raises(Unavailable, match=r"no line for it; restart Manta"), Replication(server.urls.owner_url):
        pass
    wrong = server.backup_url.replace("manta_backup:", "manta_backup:x")
    with pytest.raises(Unavailable, match=r"the secret of the role is not the one"), Replication(wrong):
        pass


def test_a_target_that_is_away(server: EmbeddedPostgres, tmp_path: Path, keys: Keyring) -> None:
    target = Broken(tmp_path / "target")
    with at_work(Store(target, keys), server):
        until(lambda: len(list(target.names("manifests/"))) == 1)
        target.broken = True
        add(server, 1)
        until(lambda: any("the log is not shipped" in each and "the target is away" in each for each in told(server)))
        target.broken = False
        until(lambda: told(server) == [])


def test_a_keyring_that_is_missing_and_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, found = tmp_path / "keys" / "master_keys", list[Archivist | None]()
    cluster = Cluster.model_validate(
        {
            "data_dir": tmp_path, "database_url": "postgresql://unused", "redis_url": "unix:///unused",
            "link_secret": "x", "master_keys": path,
            "configuration": Configuration.model_validate({"backup": {"to": str(tmp_path / "target")}}),
        }
    )  # fmt: skip
    stop = threading.Event()
    thread = threading.Thread(target=lambda: found.append(begun(cluster, None, Standing(tmp_path), stop)))
    thread.start()
    until(lambda: hindrances(tmp_path) != [])
    (sentence,) = hindrances(tmp_path)
    assert sentence.startswith("backups cannot begin since 2")
    assert "is missing: put it back from your copy of it" in sentence
    path.parent.mkdir()
    Keyring.make(path)
    thread.join()
    assert isinstance(found[0], Archivist)
    assert hindrances(tmp_path) == []
    stop.set()
    assert begun(cluster, None, Standing(tmp_path), stop) is None


def test_what_is_no_standing_is_said(tmp_path: Path) -> None:
    assert hindrances(tmp_path) == []
    (tmp_path / module.FILE).write_bytes(b"{")
    assert "cannot be read (JSONDecodeError)" in hindrances(tmp_path)[0]
    Standing(tmp_path)
    assert hindrances(tmp_path) == []
    module.forget(tmp_path)
    module.forget(tmp_path)
    assert Layout(tmp_path).data_dir.exists()
