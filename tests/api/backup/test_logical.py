"""A server of the operator's, played by the embedded one entered as its owner."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from api.backup import drill
from api.backup.manifest import TABLE, Manifest
from api.backup.restore import restore, restore_into
from api.backup.source import Source
from api.backup.store import Store
from api.backup.take import take
from api.db import copying, schema, survey
from api.privacy import ledger
from configs.errors import BadRequest, ConfigurationError, DamagedBackup, Internal, Unavailable
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import count, layout_of, restored_server, source_of
from tests.fixtures.data_dirs import held_layout, open_folder, quick
from tests.fixtures.database import migrated, query
from tests.fixtures.erasing import erase, somebody, there

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def managed() -> Iterator[EmbeddedPostgres]:
    with migrated(quick()) as server:
        query(server, "grant manta_jobs to manta_owner with inherit false, set true")  # as the migration does elsewhere
        people(server)
        yield server


def people(server: EmbeddedPostgres) -> None:
    """Rows with awkward text, and an audit log that refuses changes."""
    query(
        server, "insert into organizations (id, name) values ('o1', E'tab\\t quote\" back\\\\slash'), ('o2', 'äöü ☃')"
    )
    query(server, "insert into users (id, email) select 'u' || i, i || '@example.com' from generate_series(1, 300) i")
    query(server, "insert into memberships (user_id, organization_id, role) select id, 'o1', 'member' from users")
    for number in range(3):
        query(
            server,
            "select append_audit('o1', now(), 'u1', 'key.create', %s, 'done', '', '', '{}')",
            f"k{number}",
        )


def source(server: EmbeddedPostgres) -> Source:
    return Source(layout_of(server), server.urls.owner_url)


def everything(server: EmbeddedPostgres) -> dict[str, list[tuple[object, ...]]]:
    names = [name for (name,) in query(server, survey.TABLES)]
    return {name: query(server, f'select * from "{name}" t order by t::text') for name in names}


def walls(server: EmbeddedPostgres) -> list[tuple[object, ...]]:
    """Everything that a restore puts aside."""
    keys = query(
        server,
        "select conrelid::regclass::text, pg_get_constraintdef(oid), convalidated from pg_constraint order by 1, 2",
    )
    triggers = query(
        server, "select tgrelid::regclass::text, tgname, tgenabled from pg_trigger where not tgisinternal order by 1, 2"
    )
    return (
        keys
        + triggers
        + query(
            server, "select relname, relforcerowsecurity, relrowsecurity from pg_class where relkind = 'r' order by 1"
        )
    )


@pytest.fixture
def backup(managed: EmbeddedPostgres, store: Store) -> Manifest:
    return take(store, source(managed))


def test_the_owner_backs_up_every_tenant(managed: EmbeddedPostgres, backup: Manifest) -> None:
    """Though row level security binds him: he becomes the role of jobs."""
    assert backup.kind == "logical"
    assert backup.wal is None
    counted = {name: len(rows) for name, rows in everything(managed).items() if name != "alembic_version"}
    assert {name: count.rows for name, count in backup.rows.items()} == counted
    assert counted["users"] == 300
    assert not any(count.added or count.removed for count in backup.rows.values())


def test_it_comes_back_into_an_empty_database(
    managed: EmbeddedPostgres, store: Store, backup: Manifest, fresh: Path, tmp_path: Path
) -> None:
    (layout_of(managed).models / "weights").write_bytes(b"weights")
    backup = take(store, source(managed))
    with open_folder(quick()) as root, held_layout(root / "other") as other, EmbeddedPostgres(other) as server:
        with held_layout(fresh) as layout:
            restore_into(store, backup, layout, server.urls.owner_url)
            assert (layout.models / "weights").read_bytes() == b"weights"
        assert everything(server) == everything(managed)
        assert walls(server) == walls(managed)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only added to"):
            query(server, "delete from audit_log")
        with psycopg.connect(server.urls.app_url) as connection:
            assert connection.execute("select count(*) from users").fetchone() == (0,)
        with held_layout(fresh.parent / "second") as layout, pytest.raises(ConfigurationError, match="is not empty"):
            restore_into(store, backup, layout, server.urls.owner_url)


def test_whoever_was_erased_stays_away_from_the_operators_database(
    managed: EmbeddedPostgres, store: Store, fresh: Path
) -> None:
    """Without any file of the old data directory: the table of orders says it."""
    gone = somebody(managed)
    old = take(store, source(managed))
    erase(managed, gone)
    (layout_of(managed).data_dir / ledger.NAME).unlink()
    take(store, source(managed))
    with open_folder(quick()) as root, held_layout(root / "other") as other, EmbeddedPostgres(other) as server:
        query(server, "grant manta_app, manta_jobs, manta_audit to manta_owner with inherit false, set true")
        with held_layout(fresh) as layout:
            assert restore_into(store, old, layout, server.urls.owner_url).erased == 1
        assert not there(server, gone)


def test_it_comes_back_into_an_embedded_server(
    managed: EmbeddedPostgres, store: Store, backup: Manifest, fresh: Path
) -> None:
    with held_layout(fresh) as layout:
        restore(store, backup, layout)
    with restored_server(fresh) as server:
        assert everything(server) == everything(managed)
        query(server, "select append_audit('o1', now(), 'u1', 'key.create', 'k9', 'done', '', '', '{}')")


def test_the_drill_proves_it(store: Store, backup: Manifest, fresh: Path) -> None:
    verdict = drill.verify(store, backup, fresh.parent)
    assert verdict.ok
    assert verdict.rows > 300


def test_a_flipped_byte_in_any_table_is_found(store: Store, backup: Manifest, fresh: Path) -> None:
    (part,) = backup.streams[f"{TABLE}users"]
    was = store.target.get(part.name)
    store.target.put(part.name, was[:-1] + bytes([was[-1] ^ 1]))
    assert part.name in drill.verify(store, backup, fresh.parent).problems[0]
    with held_layout(fresh) as layout, pytest.raises(DamagedBackup, match=part.name):
        restore(store, backup, layout)


def test_sequences_go_on(managed: EmbeddedPostgres) -> None:
    query(managed, "create table numbered (id int generated by default as identity primary key, t text)")
    query(managed, "create table empty_numbered (id serial primary key)")
    try:
        with psycopg.connect(managed.root_url) as connection:
            copying._fill(connection, "numbered", iter([b"id\tt\n", b"41\tx\n"]))
            copying._continue_sequences(connection)
        query(managed, "insert into numbered (t) values ('next')")
        query(managed, "insert into empty_numbered default values")
        assert query(managed, "select max(id) from numbered") == [(42,)]
        assert query(managed, "select max(id) from empty_numbered") == [(1,)]
    finally:
        query(managed, "drop table numbered, empty_numbered")


def test_rows_that_do_not_fit_change_nothing(managed: EmbeddedPostgres) -> None:
    before, stood = everything(managed), walls(managed)

    def rows_of(table: str) -> Iterator[bytes]:
        yield b"user_id\torganization_id\trole\n"
        yield b"nobody\to1\tmember\n"

    with pytest.raises(DamagedBackup, match="do not fit its schema"):
        copying.write(managed.root_url, ["memberships"], rows_of)
    assert everything(managed) == before
    assert walls(managed) == stood


def test_a_table_that_hides_rows_from_the_backup_is_refused(managed: EmbeddedPostgres, store: Store) -> None:
    query(managed, "create table hidden (id int); alter table hidden enable row level security")
    try:
        with pytest.raises(Internal, match="does not see every row of hidden"):
            take(store, source(managed))
    finally:
        query(managed, "drop table hidden")
    assert store.ids() == []


def test_a_table_that_jobs_may_not_read_is_refused(managed: EmbeddedPostgres, store: Store) -> None:
    query(managed, "create table closed (id int)")
    try:
        with pytest.raises(ConfigurationError, match="may not read every row"):
            take(store, source(managed))
    finally:
        query(managed, "drop table closed")


def test_a_role_that_sees_only_its_own_rows_is_refused(managed: EmbeddedPostgres, store: Store) -> None:
    for url in (managed.urls.app_url, managed.urls.audit_url):
        with pytest.raises(ConfigurationError, match="must own the tables"):
            take(store, Source(layout_of(managed), url))


def test_a_database_that_is_away_is_said(managed: EmbeddedPostgres, store: Store) -> None:
    url = managed.urls.owner_url.replace(str(layout_of(managed).postgres_socket_dir), "nowhere")
    with pytest.raises(Unavailable):
        take(store, Source(layout_of(managed), "postgresql://nobody@127.0.0.1:9/x"))
    assert url


def test_a_schema_of_the_future_is_refused(store: Store, backup: Manifest, fresh: Path) -> None:
    newer = backup.model_copy(update={"revision": "9999"})
    with held_layout(fresh) as layout, pytest.raises(ConfigurationError, match="which this version does not know"):
        restore(store, newer, layout)


def test_an_older_schema_comes_back_as_it_was(store: Store, fresh: Path) -> None:
    with open_folder(quick()) as root, held_layout(root / "old") as layout, EmbeddedPostgres(layout) as server:
        schema.upgrade(server.urls.owner_url, "0001")
        query(server, "insert into organizations (id, name) values ('o1', 'One')")
        backup = take(store, Source(layout, server.root_url))
    assert backup.revision == "0001"
    with held_layout(fresh) as layout:
        restore(store, backup, layout)
    with restored_server(fresh) as server:
        assert query(server, "select id from organizations order by 1") == [("default",), ("o1",)]
        schema.upgrade(server.urls.owner_url)


def test_a_base_goes_into_no_database_of_the_operators(
    filled: EmbeddedPostgres, managed: EmbeddedPostgres, store: Store, fresh: Path
) -> None:
    base = take(store, source_of(filled))
    with held_layout(fresh) as layout, pytest.raises(BadRequest, match="unset DATABASE_URL"):
        restore_into(store, base, layout, managed.urls.owner_url)
    assert count(filled)
