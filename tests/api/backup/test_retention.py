"""What is left when a backup is removed, or was broken off."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from api.backup import drill
from api.backup.manifest import BASE
from api.backup.store import Store
from api.backup.take import take
from api.storage.target import Folder
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import (
    layout_of,
    source_of,
    store_in,
)  # fmt: skip

pytestmark = pytest.mark.timeout(120)


def test_only_the_newest_are_kept_and_what_they_need(filled: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    source = source_of(filled)
    (layout_of(filled).models / "old").write_bytes(b"old")
    first = take(store, source)
    store.target.put(f"parts/20260101T000000Z-00000000/{BASE}/000000", b"of a backup that was broken off")
    (layout_of(filled).models / "old").unlink()
    (layout_of(filled).models / "new").write_bytes(b"new")
    second = take(store, source, keep=2)
    assert store.ids() == sorted([first.id, second.id])
    assert not any("20260101" in name for name in store.target.names("parts/"))
    before = len(list(store.target.names("blobs/")))
    third = take(store, source, keep=1)
    assert store.ids() == [third.id]
    assert {name.split("/")[1] for name in store.target.names("parts/")} == {third.id}
    assert len(list(store.target.names("blobs/"))) == before - 1
    assert drill.verify(store, third, fresh.parent).ok


def test_a_backup_that_cannot_be_read_stops_the_removal_and_nothing_else(
    filled: EmbeddedPostgres, store: Store
) -> None:
    source, said = source_of(filled), list[str]()
    first = take(store, source)
    store.target.put(f"manifests/{first.id}.json", b"{}")
    second = take(store, source, keep=2, say=said.append)
    assert store.ids() == sorted([first.id, second.id])
    assert store.target.get(first.streams[BASE][0].name)
    assert any(line.startswith("nothing is removed") for line in said)


class Stuck(Folder):
    """A target that hangs at its third object, and says so."""

    def __init__(self, root: Path, told: Path) -> None:
        super().__init__(root)
        self.told = told

    def put(self, name: str, content: bytes) -> None:
        if len(list(self.names("parts/"))) >= 2:
            self.told.touch()
            signal.pause() if threading.current_thread() is threading.main_thread() else threading.Event().wait()
        super().put(name, content)


def test_kill_9_in_the_middle_leaves_no_backup(
    filled: EmbeddedPostgres, tmp_path: Path, keys: Keyring, fresh: Path
) -> None:
    told = tmp_path / "stuck"
    pid = os.fork()
    if pid == 0:
        try:
            take(Store(Stuck(tmp_path / "target", told), keys, 2**16), source_of(filled))
        finally:
            os._exit(1)
    deadline = time.monotonic() + 60
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    store = store_in(tmp_path / "target", keys)
    assert list(store.target.names("parts/"))
    assert store.ids() == []
    backup = take(store, source_of(filled), keep=1)
    assert {name.split("/")[1] for name in store.target.names("parts/")} == {backup.id}
    assert drill.verify(store, backup, fresh.parent).ok
