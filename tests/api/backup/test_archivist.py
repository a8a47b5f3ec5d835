"""The process that takes backups, beside a real server."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.backup import archivist as archivists
from api.backup.archive import Archive, archive_of
from api.backup.archivist import Archivist
from api.backup.restore import restore
from api.backup.store import Store
from configs.backup_specs import BackupSpec
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from configs.specs import Configuration
from tests.fixtures.backups import (
    WAIT_S,
    Broken,
    add,
    count,
    layout_of,
    restored_server,
    settle,
    source_of,
    store_in,
    until,
)
from tests.fixtures.data_dirs import held_layout

pytestmark = pytest.mark.timeout(240)


@contextmanager
def at_work(store: Store, server: EmbeddedPostgres, every_s: int = 3600) -> Iterator[Archivist]:
    made = Archivist(store, source_of(server), BackupSpec(to="/unused", every_s=every_s, keep=2))
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield made
    finally:
        made.stop.set()
        thread.join()


def test_the_archivist_needs_nobody(
    server: EmbeddedPostgres, store: Store, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archivists, "PERIOD_S", 0.1)
    monkeypatch.setattr(archivists, "PERIOD_OF_LOG_S", 0.1)
    layout = layout_of(server)
    with at_work(store, server) as archivist:
        until(lambda: len(store.ids()) == 1)
        assert not archivist.due(datetime.now(UTC))
        assert archivist.due(datetime.now(UTC) + timedelta(hours=2))
        (layout.models / "late").write_bytes(b"late")
        add(server, 3)
        until(lambda: any("late" in entry.path for entry in Archive(store, str(archivist.archive)).files().files))
    backup = store.manifest(None)
    with held_layout(fresh) as new:
        restore(store, backup, new)
    assert (Layout(fresh).models / "late").read_bytes() == b"late"
    with restored_server(fresh) as again:
        assert count(again) == count(server)


def test_the_archivist_goes_on_after_failures(
    server: EmbeddedPostgres, tmp_path: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"PERIOD_S": 0.05, "PERIOD_OF_LOG_S": 0.05, "RETRY_S": 0.05, "FAILED_S": 0.05}.items():
        monkeypatch.setattr(archivists, name, seconds)
    target = Broken(tmp_path / "target")
    target.broken = True
    store = Store(target, keys)
    with at_work(store, server) as archivist:
        until(lambda: archivist.archive is not None)
        first = archivist.archive
        target.broken = False
        until(lambda: len(store.ids()) == 1)
        child = server.child
        assert child is not None
        child.signal(signal.SIGKILL)
        server.start()
        server.wait_ready()
        add(server, 1)
        settle(server)
        assert archivist.archive == first
        store.target.put(f"manifests/{store.ids()[0]}.json", b"{}")
        until(lambda: len(store.ids()) == 2)  # what cannot be read is no backup


def test_the_archivist_is_a_process(server: EmbeddedPostgres, tmp_path: Path, keys: Keyring) -> None:
    target = tmp_path / "target"
    configuration = Configuration.model_validate({"backup": {"to": str(target)}})
    cluster = Cluster(
        data_dir=layout_of(server).data_dir, database_url="postgresql://unused", redis_url="unix:///unused",
        link_secret="x", master_keys=tmp_path / "master_keys", configuration=configuration,
    )  # fmt: skip
    cluster.write(tmp_path / "cluster.json")
    argv = [sys.executable, "-m", "api.backup.archivist", str(tmp_path / "cluster.json"), "--embedded"]
    process = subprocess.Popen(argv, env=os.environ | {"PYTHONPATH": str(Path.cwd())}, stderr=subprocess.PIPE)
    try:
        store = store_in(target, keys)
        until(lambda: len(store.ids()) == 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        _, words = process.communicate()
    assert b"is complete" in words
    assert archive_of(server.root_url) is not None
