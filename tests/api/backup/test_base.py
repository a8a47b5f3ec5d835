"""The embedded server backed up, restored and proven, with everything real."""

import threading
import time
from pathlib import Path

import pytest

from api.backup import drill
from api.backup.manifest import BASE, PROOFS, Count, Manifest
from api.backup.proofs import Proofs
from api.backup.restore import Known, put_master_keys, refuse_used, restore
from api.backup.store import Store
from api.backup.take import secrets_of, take
from configs.datadir import Layout
from configs.errors import ConfigurationError, Conflict, DamagedBackup
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import (
    BUCKET,
    PLANTED,
    add,
    content,
    count,
    fill,
    keyring,
    layout_of,
    restored_server,
    source_of,
    store_in,
    use_bucket,
)  # fmt: skip
from tests.fixtures.data_dirs import held_layout, quick
from tests.fixtures.database import migrated, query

pytestmark = pytest.mark.timeout(120)


def restored(store: Store, backup: Manifest, data_dir: Path) -> None:
    with held_layout(data_dir) as layout:
        restore(store, backup, layout)


def test_a_restored_installation_is_the_same_one(
    filled: EmbeddedPostgres, store: Store, keys: Keyring, fresh: Path, tmp_path: Path
) -> None:
    """With nothing but the target and the file of the master keys."""
    layout = layout_of(filled)
    (layout.models / "adapter").mkdir(exist_ok=True)
    (layout.models / "adapter" / "weights").write_bytes(b"weights")
    layout.secret("operator_key")
    backup = take(store, source_of(filled))
    assert backup.rows["filled"] == Count(rows=count(filled))
    refuse_used(fresh)
    with held_layout(fresh) as new:
        put_master_keys(tmp_path / "master_keys", new)
        restore(store, backup, new)
    with pytest.raises(ConfigurationError, match="is in use"):
        refuse_used(fresh)
    with restored_server(fresh) as server:
        assert count(server) == count(filled)
        assert query(server, "select version_num from alembic_version") == query(
            filled, "select version_num from alembic_version"
        )
        assert query(server, "select timeline_id from pg_control_checkpoint()") == [(2,)]
        add(server, 1)
    new = Layout(fresh)
    assert (new.models / "adapter" / "weights").read_bytes() == b"weights"
    assert secrets_of(new) == secrets_of(layout)
    assert new.master_keys.read_text() == (tmp_path / "master_keys").read_text()
    assert Keyring.read(new.master_keys).ids == keys.ids


def test_nothing_readable_is_in_a_backup(filled: EmbeddedPostgres, store: Store, tmp_path: Path) -> None:
    backup = take(store, source_of(filled))
    everything = b"".join(content(store.target).values())
    secret = (layout_of(filled).secrets / "postgres-manta_root").read_bytes()
    key = (tmp_path / "master_keys").read_bytes().split()[1]
    for word in (PLANTED.encode(), secret, key, b"PG_VERSION", b"CREATE TABLE"):
        assert word not in everything
    assert PLANTED.encode() in b"".join(store.fetch(backup, BASE))


def test_a_backup_taken_while_rows_are_written_is_consistent(store: Store, fresh: Path) -> None:
    with migrated(quick()) as server:
        fill(server, 20_000)
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                add(server, 50)
                query(server, "delete from filled where id in (select id from filled order by id limit 10)")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            before = count(server)
            while count(server) == before:
                time.sleep(0.01)
            backup = take(store, source_of(server))
        finally:
            stop.set()
            writer.join()
        assert backup.rows["filled"].rows > before
    verdict = drill.verify(store, backup, fresh.parent)
    assert verdict.problems == ()
    assert verdict.rows > before
    restored(store, backup, fresh)
    with restored_server(fresh) as again:
        assert query(again, "select count(*) % 10 from filled") == [(0,)]  # whole transactions only
        assert backup.rows["filled"].allows(count(again))


def test_the_drill_proves_a_good_backup(filled: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    said: list[str] = []
    backup = take(store, source_of(filled), say=said.append)
    verdict = drill.verify(store, backup, fresh.parent, said.append)
    assert verdict.ok
    assert verdict.rows >= count(filled)
    assert any("database" in line for line in said)
    assert list(fresh.parent.iterdir()) == []


def test_the_drill_finds_a_flipped_byte_anywhere(filled: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    backup = take(store, source_of(filled))
    for parts in backup.streams.values():
        was = store.target.get(parts[-1].name)
        middle = len(was) // 2
        store.target.put(parts[-1].name, was[:middle] + bytes([was[middle] ^ 8]) + was[middle + 1 :])
        verdict = drill.verify(store, backup, fresh.parent)
        assert not verdict.ok
        assert parts[-1].name in verdict.problems[0]
        store.target.put(parts[-1].name, was)


def test_the_drill_tells_what_differs(filled: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    backup = take(store, source_of(filled))
    promised = Proofs(samples={"filled": "of other rows"}, heads={"default": (10**6, "00")})
    proofs = store.send(backup.id, PROOFS, [promised.text()])
    lied = backup.model_copy(
        update={
            "revision": "0000",
            "rows": {"filled": Count(rows=1), "absent": Count(rows=0)},
            "streams": backup.streams | {PROOFS: proofs},
        }
    )
    problems = drill.verify(store, lied, fresh.parent).problems
    for words in (
        "and was 0000",
        "filled has",
        "absent is missing",
        "first rows of the table filled",
        "audit log of default, entries",
    ):
        assert any(words in problem for problem in problems), words


def test_a_restore_that_fails_keeps_everybody_out(filled: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    """Whatever fails, to the last step: here the file of the anchors."""
    backup = take(store, source_of(filled))
    anchors = fresh.parent / "anchors"
    anchors.mkdir()
    with pytest.raises(ConfigurationError, match="anchors"), held_layout(fresh) as layout:
        restore(store, backup, layout, known=Known(anchors=anchors))
    with pytest.raises(ConfigurationError, match="was broken off: empty it, and run `manta db restore` again"):
        Layout(fresh).hold(command="manta serve")
    with pytest.raises(ConfigurationError, match="is in use"):
        refuse_used(fresh)


def test_a_harmed_base_is_not_restored(filled: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    backup = take(store, source_of(filled))
    store.target.delete(backup.streams[BASE][-1].name)
    with pytest.raises(DamagedBackup, match="lacks"):
        restored(store, backup, fresh)
    assert not (fresh / "postgres" / "data").exists()


def test_another_master_key_restores_nothing(
    filled: EmbeddedPostgres, store: Store, tmp_path: Path, fresh: Path
) -> None:
    backup = take(store, source_of(filled))
    others = store_in(tmp_path / "target", keyring(tmp_path, "others"))
    with pytest.raises(ConfigurationError, match="has no key"):
        others.manifest(backup.id)
    with pytest.raises(ConfigurationError, match="has no key"):
        restored(others, backup, fresh)


def test_a_used_directory_is_refused(tmp_path: Path) -> None:
    refuse_used(tmp_path / "absent")
    (tmp_path / "new" / "secrets").mkdir(parents=True)
    (tmp_path / "new" / "secrets" / "master_keys").touch()
    refuse_used(tmp_path / "new")
    (tmp_path / "new" / "secrets" / "link").touch()
    with pytest.raises(ConfigurationError, match=r"it has secrets/link\): restore into an empty --data-dir"):
        refuse_used(tmp_path / "new")


def test_two_backups_at_once_are_one(filled: EmbeddedPostgres, store: Store) -> None:
    source = source_of(filled)
    with source.alone(), pytest.raises(Conflict, match="is being taken already"):
        take(store, source)
    assert store.ids() == []


def test_a_bucket_holds_it_as_well(
    filled: EmbeddedPostgres, keys: Keyring, s3_address: str, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.storage.target import open_target

    use_bucket(monkeypatch, s3_address)
    store = Store(open_target(f"s3://{BUCKET}/manta"), keys, 2**22)
    backup = take(store, source_of(filled), keep=1)
    assert drill.verify(store, store.manifest(None), fresh.parent).ok
    restored(store, backup, fresh)
    with restored_server(fresh) as server:
        assert count(server) == count(filled)


def test_the_role_of_backups_may_replicate_and_nothing_else(filled: EmbeddedPostgres) -> None:
    import psycopg

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(filled.backup_url)
    found = query(
        filled,
        "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles "
        "where rolname = 'manta_backup'",
    )
    assert found == [(False, False, False, False, True)]
    assert query(filled, "select count(*) from pg_auth_members where member = 'manta_backup'::regrole") == [(0,)]
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        psycopg.connect(filled.urls.owner_url, replication="true")
