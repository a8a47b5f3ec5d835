"""Whoever was erased after a backup does not come back with it, whoever restores it and whatever they know."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.backup import archivist as archivists
from api.backup import erasures
from api.backup.archivist import Archivist
from api.backup.manifest import Manifest
from api.backup.progress import silent
from api.backup.restore import Known, restore
from api.backup.store import Store
from api.backup.take import take
from api.privacy import ledger
from configs.backup_specs import BackupSpec
from configs.errors import BadRequest, DamagedBackup
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import content, layout_of, restored_server, source_of, until
from tests.fixtures.data_dirs import held_layout
from tests.fixtures.database import query
from tests.fixtures.erasing import ask, erase, somebody, there

pytestmark = pytest.mark.timeout(120)


def restored(store: Store, backup: Manifest, data_dir: Path, given: Path | None = None) -> int:
    with held_layout(data_dir) as layout:
        return restore(store, backup, layout, known=Known(given)).erased


@pytest.fixture
def cleared(filled: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """The shared server, whose ledger no other test fills."""
    yield filled
    (layout_of(filled).data_dir / ledger.NAME).unlink(missing_ok=True)
    query(filled, "delete from erasures")


def test_the_newest_backup_says_who_must_not_come_back_with_an_older_one(
    cleared: EmbeddedPostgres, store: Store, fresh: Path
) -> None:
    gone, stays = somebody(cleared), somebody(cleared)
    old = take(store, source_of(cleared))
    erase(cleared, gone)
    newer = take(store, source_of(cleared))
    store.target.delete(erasures.KNOWN)
    (layout_of(cleared).data_dir / ledger.NAME).unlink()  # the machine is lost
    assert erasures.gathered(store, old, None, silent) == erasures.gathered(store, newer, None, silent)
    assert restored(store, old, fresh) == 1
    with restored_server(fresh) as server:
        assert (there(server, gone), there(server, stays)) == (False, True)
        told = query(server, "select target from audit_log where action = 'user.erased' order by seq desc limit 1")
        assert told == [(gone,)]
    assert [entry["subject_id"] for entry in ledger.entries(fresh)] == [gone]
    everything = b"".join(content(store.target).values())
    assert gone.encode() not in everything


def test_an_order_that_waits_counts_too_and_one_that_is_done_is_left_alone(
    cleared: EmbeddedPostgres, store: Store, fresh: Path
) -> None:
    before, after = somebody(cleared), somebody(cleared)
    erase(cleared, before)
    old = take(store, source_of(cleared))
    ask(cleared, after)
    take(store, source_of(cleared))
    entries = erasures.gathered(store, old, None, silent)
    assert [entry["subject_id"] for entry in entries] == [before, after]
    assert restored(store, old, fresh) == 1
    with restored_server(fresh) as server:
        assert not there(server, after)
        times = query(server, "select count(*) from audit_log where action = 'user.erased' and target = %s", before)
        assert times == [(1,)]


def test_between_two_backups_the_archivist_keeps_the_ledger_up(
    server: EmbeddedPostgres, cleared: EmbeddedPostgres, store: Store, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PERIOD_S", "PERIOD_OF_LOG_S"):
        monkeypatch.setattr(archivists, name, 0.05)
    gone = somebody(server)
    archivist = Archivist(store, source_of(server), BackupSpec(to="/unused", every_s=3600, keep=2))
    thread = threading.Thread(target=archivist.run)
    thread.start()
    try:
        until(lambda: len(store.ids()) == 1)
        erase(server, gone)
        until(lambda: erasures.KNOWN in content(store.target))
    finally:
        archivist.stop.set()
        thread.join()
    assert [entry["subject_id"] for entry in erasures.gathered(store, store.manifest(None), None, silent)] == [gone]
    assert gone.encode() not in content(store.target)[erasures.KNOWN]


def test_what_cannot_be_read_is_no_reason_to_forget_nobody(
    cleared: EmbeddedPostgres, store: Store, fresh: Path, tmp_path: Path
) -> None:
    gone, said = somebody(cleared), list[str]()
    backup = take(store, source_of(cleared))
    erase(cleared, gone)
    erasures.remember(store, ledger.entries(layout_of(cleared).data_dir), silent)
    was = store.target.get(erasures.KNOWN)
    store.target.put(erasures.KNOWN, was[:-1] + bytes([was[-1] ^ 1]))
    with pytest.raises(DamagedBackup, match="with --erasures FILE"):
        restored(store, backup, fresh)
    with pytest.raises(BadRequest, match="there is no file"):
        restored(store, backup, fresh, tmp_path / "nothing")
    assert not (fresh / "postgres" / "data").exists()
    copy = tmp_path / "copy.jsonl"
    ledger.write(tmp_path, ledger.entries(layout_of(cleared).data_dir))
    (tmp_path / ledger.NAME).rename(copy)
    found = erasures.gathered(store, backup, copy, said.append)
    assert [entry["subject_id"] for entry in found] == [gone]
    assert "alone says who was erased lately" in said[0]
    erasures.remember(store, found, said.append)
    assert "is written anew" in said[1]
    assert erasures.gathered(store, backup, None, silent) == found


def test_the_list_in_the_target_only_grows(store: Store) -> None:
    def entry(name: str) -> dict[str, Any]:
        return {"id": name, "organization_id": "o", "subject_kind": "user", "subject_id": name, "data_key_ids": []}

    erasures.remember(store, [entry("a"), entry("b")], silent)
    erasures.remember(store, [entry("c")], silent)
    before = content(store.target)
    erasures.remember(store, [entry("b")], silent)
    assert content(store.target) == before
    assert [each["id"] for each in ledger.parsed(store.get(erasures.KNOWN))] == ["a", "b", "c"]
