"""The log on its way, and moments that are reached by it. Every start of a server is real."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from api.backup import drill
from api.backup.archive import Archive, archive_of, archives
from api.backup.manifest import Manifest
from api.backup.recovery import Until
from api.backup.restore import choose, restore
from api.backup.shipping import Shipping
from api.backup.store import Store
from api.backup.take import take
from api.db import survey
from api.db.replication import SEGMENT_BYTES, position_of, segment_name, segment_number, text_of
from configs.datadir import Layout
from configs.errors import BadRequest, ConfigurationError, DamagedBackup, MantaError, NotFound, Unavailable
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import Broken, add, count, layout_of, restored_server, settle, source_of, until
from tests.fixtures.data_dirs import held_layout
from tests.fixtures.database import bring_back, query

pytestmark = pytest.mark.timeout(240)


@contextmanager
def shipped(store: Store, server: EmbeddedPostgres, period_s: float = 0.1) -> Iterator[str]:
    """The log is shipped inside the block, all of it at its end; the archive's id."""
    ship, stop, failed = Shipping(store, server, period_s), threading.Event(), list[MantaError]()
    archive_id = ship.prepare()

    def run() -> None:
        try:
            ship.run(archive_id, stop)
        except MantaError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield archive_id
        settle(server)
    finally:
        stop.set()
        thread.join()
    assert failed == []


def restored(store: Store, backup: Manifest, data_dir: Path, to: Until = "end") -> None:
    with held_layout(data_dir) as layout:
        restore(store, backup, layout, until=to)


def add_segments(server: EmbeddedPostgres, count: int) -> None:
    for _ in range(count):
        add(server, 100)
        query(server, "select pg_switch_wal()")
    add(server, 100)


def now(server: EmbeddedPostgres) -> datetime:
    ((moment,),) = query(server, "select clock_timestamp()")
    assert isinstance(moment, datetime)
    return moment


def test_what_was_written_after_the_base_comes_back(server: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    with shipped(store, server) as archive_id:
        backup = take(store, source_of(server))
        assert backup.wal is not None
        assert backup.wal.archive == archive_id
        add(server, 150_000)  # more than a segment
        add(server, 7)
        (layout_of(server).models / "late").write_bytes(b"late")
    wanted = count(server)
    names = list(store.target.names("wal/"))
    assert sum(not name.endswith(".partial") for name in names) >= 1
    assert sum(name.endswith(".partial") for name in names) == 1
    verdict = drill.verify(store, backup, fresh.parent)
    assert verdict.ok
    assert verdict.segments >= 2
    restored(store, backup, fresh)
    with restored_server(fresh) as again:
        assert count(again) == wanted
        assert archive_of(again.root_url) is None  # so that two never write one archive


def test_any_moment_can_be_reached(server: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    with shipped(store, server):
        early = now(server)
        backup = take(store, source_of(server))
        add(server, 1)
        moment, wanted = now(server), count(server)
        add(server, 10)
    assert choose(store, None, moment) == backup
    restored(store, backup, fresh, moment)
    with restored_server(fresh) as again:
        assert count(again) == wanted
    with pytest.raises(BadRequest, match="the oldest backup is of"):
        choose(store, None, early)
    with pytest.raises(BadRequest, match="was complete at"):
        choose(store, backup.id, early)


def test_a_moment_that_the_log_does_not_reach_is_said(server: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    with shipped(store, server):
        backup = take(store, source_of(server))
        add(server, 1)
    with pytest.raises(ConfigurationError, match="leave --at away"):
        restored(store, backup, fresh, now(server) + timedelta(hours=1))
    assert Layout(fresh).unfinished.exists()


def test_a_moment_needs_a_log(server: EmbeddedPostgres, store: Store) -> None:
    with pytest.raises(NotFound):
        choose(store, None, now(server))
    backup = take(store, source_of(server))
    assert choose(store, None, None) == choose(store, backup.id, None) == backup
    with pytest.raises(BadRequest, match="has no archived log"):
        choose(store, None, now(server))


def test_a_gap_in_the_log_is_found(server: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    with shipped(store, server) as archive_id:
        backup = take(store, source_of(server))
        add_segments(server, 2)
    assert backup.wal is not None
    segments = Archive(store, archive_id).segments(backup.wal.timeline, backup.wal.end)
    assert len(segments) > 2
    store.target.delete(segments[1].name)
    (problem,) = drill.verify(store, backup, fresh.parent).problems
    assert segments[1].file in problem
    with pytest.raises(DamagedBackup, match="has a gap"):
        restored(store, backup, fresh)


def test_a_flipped_byte_in_the_log_is_found(server: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    with shipped(store, server):
        backup = take(store, source_of(server))
        add(server, 10)
    name = list(store.target.names("wal/"))[-1]
    was = store.target.get(name)
    store.target.put(name, was[:-1] + bytes([was[-1] ^ 1]))
    assert name in drill.verify(store, backup, fresh.parent).problems[0]


def test_nothing_is_lost_while_the_target_is_away(
    tmp_path: Path, keys: Keyring, server: EmbeddedPostgres, fresh: Path
) -> None:
    target = Broken(tmp_path / "target")
    store = Store(target, keys)
    with shipped(store, server) as archive_id:
        backup = take(store, source_of(server))
    target.broken = True
    ship = Shipping(store, server, 0.1)
    assert ship.prepare() == archive_id
    add(server, 1000)
    with pytest.raises(Unavailable, match="the target is away"):
        ship.run(archive_id, threading.Event())
    add_segments(server, 1)
    query(server, "checkpoint")
    target.broken = False
    with shipped(store, server) as again:
        assert again == archive_id
        add(server, 1)
    restored(store, backup, fresh)
    with restored_server(fresh) as restarted:
        assert count(restarted) == count(server)


def test_a_slot_that_fell_behind_makes_way_for_a_new_archive(server: EmbeddedPostgres, store: Store) -> None:
    first = Shipping(store, server).prepare()
    with psycopg.connect(server.root_url, autocommit=True) as connection:
        connection.execute("select pg_create_physical_replication_slot('manta_backup_second', true)")
    assert Shipping(store, server).prepare() == first
    assert archive_of(server.root_url) == first
    query(server, "select pg_drop_replication_slot('manta_backup_' || %s)", first)
    second = Shipping(store, server).prepare()
    assert second != first
    server.drop_slots()
    assert archive_of(server.root_url) is None


def test_a_lost_slot_is_dropped(server: EmbeddedPostgres, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Shipping(store, server).prepare()
    monkeypatch.setattr(survey, "slots", lambda _, prefix: {prefix + first: False})
    second = Shipping(store, server).prepare()
    monkeypatch.undo()
    assert second != first
    assert query(server, "select slot_name from pg_replication_slots") == [(f"manta_backup_{second}",)]
    with pytest.raises(Unavailable, match="is gone"):
        Shipping(store, server).run(first, threading.Event())


def test_a_server_that_is_shipped_shuts_down_at_once(server: EmbeddedPostgres, store: Store) -> None:
    """It waits for the acknowledgement of its last words, which arrives long before the period is over."""
    ship, stop = Shipping(store, server, 3600), threading.Event()
    archive_id, ended = ship.prepare(), threading.Event()

    def run() -> None:
        with pytest.raises(Unavailable, match="ended the stream"):
            ship.run(archive_id, stop)
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: query(server, "select 1 from pg_stat_replication where state = 'streaming'") == [(1,)])
    child = server.child
    assert child is not None
    add(server, 10)
    server.stop(grace_s=60)
    thread.join()
    assert ended.is_set()
    log = (layout_of(server).logs / "postgres.log").read_text()
    assert "immediate shutdown" not in log
    assert list(store.target.names(f"wal/{archive_id}/"))
    bring_back(server)


def test_old_segments_go_with_the_backups_that_needed_them(server: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    store.put("wal/00000000/000000010000000000000001", b"of a cluster that is gone")
    with shipped(store, server) as archive_id:
        take(store, source_of(server), keep=1)
        add_segments(server, 2)
        settle(server)
        before = len(list(store.target.names(f"wal/{archive_id}/")))
        backup = take(store, source_of(server), keep=1)
        assert archives(store) == {archive_id}
        assert len(list(store.target.names(f"wal/{archive_id}/"))) < before
        add(server, 5)
    restored(store, backup, fresh)
    with restored_server(fresh) as again:
        assert count(again) == count(server)


@pytest.mark.parametrize(
    ("text", "position", "name"),
    [("0/0", 0, "000000010000000000000000"), ("16/B374D848", 0x16B374D848, "0000000100000016000000B3")],
)
def test_positions(text: str, position: int, name: str) -> None:
    assert position_of(text) == position
    assert text_of(position) == text
    assert segment_name(1, position // SEGMENT_BYTES) == name
    assert segment_number(name) == position // SEGMENT_BYTES
