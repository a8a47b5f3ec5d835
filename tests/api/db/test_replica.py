"""Long reads from a real streaming replica, and from the primary whenever the replica would not do."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from api.audit.record import record
from api.db import audit as audit_queries
from api.db import replica as module
from api.db.audit import Filter
from api.db.replica import ReplicatedDatabase
from api.db.session import Database
from api.scope import Scope
from configs.errors import Unavailable
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import until
from tests.fixtures.data_dirs import quick
from tests.fixtures.database import migrated, query
from tests.fixtures.replicas import Replica, replica_of

pytestmark = pytest.mark.timeout(120)

ONE, TWO = Scope("org_one", "user_one"), Scope("org_two", "user_two")
WHERE = text("SELECT pg_is_in_recovery()")


@pytest.fixture(scope="module")
def primary() -> Iterator[EmbeddedPostgres]:
    with migrated(quick()) as server:
        for name in ("one", "two"):
            query(server, "INSERT INTO organizations (id, name) VALUES (%s, %s)", f"org_{name}", name)
            query(server, "INSERT INTO users (id, email) VALUES (%s, %s)", f"user_{name}", f"{name}@example.com")
            query(server, "INSERT INTO memberships VALUES (%s, %s, 'member')", f"org_{name}", f"user_{name}")
        yield server


@pytest.fixture(scope="module")
def replica(primary: EmbeddedPostgres) -> Iterator[Replica]:
    with replica_of(primary) as made:
        yield made


@pytest.fixture
async def database(primary: EmbeddedPostgres, replica: Replica) -> AsyncIterator[ReplicatedDatabase]:
    made = ReplicatedDatabase(primary.urls.app_url, replica.url, pool_size=1)
    yield made
    await made.close()


async def on_replica(database: Database) -> bool:
    async with database.reading(ONE) as unit:
        return bool(await unit.scalar(WHERE))


async def test_long_reads_go_to_the_replica_and_the_rest_to_the_primary(database: ReplicatedDatabase) -> None:
    assert await on_replica(database)
    async with database.unit(ONE) as unit:
        assert not await unit.scalar(WHERE)
    assert await database.replica_state() == "ready"


async def test_what_was_just_committed_is_there(database: ReplicatedDatabase) -> None:
    """Fifty times written and read at once: each read finds its own write, and most come from the replica."""
    places = []
    for number in range(50):
        async with database.unit(ONE) as unit:
            await record(unit, None, "test.write", organization_id=ONE.organization_id, number=number)
        async with database.reading(ONE) as unit:
            (newest,) = await audit_queries.newest(unit, ONE.organization_id, Filter(), before=None, limit=1)
            places.append(await unit.scalar(WHERE))
        assert f'"number":{number}' in newest.details
    assert any(places)


async def test_the_walls_stand_there_too_on_one_connection(database: ReplicatedDatabase) -> None:
    for scope in (ONE, TWO, ONE):
        async with database.reading(scope) as unit:
            assert await unit.scalar(WHERE)
            assert list(await unit.scalars(text("SELECT user_id FROM memberships"))) == [scope.user_id]
            assert await unit.scalar(text("SELECT current_user")) == "manta_app"
    async with database._replica.snapshot() as unit:
        assert await unit.scalar(text("SELECT count(*) FROM memberships")) == 0


async def test_an_account_that_may_become_the_application_does_so_there(
    primary: EmbeddedPostgres, replica: Replica
) -> None:
    """As with a server of the operator's: here the superuser, who would see everything."""
    database = ReplicatedDatabase(primary.root_url, replica.url_of(primary.root_url))
    async with database.reading(TWO) as unit:
        assert await unit.scalar(WHERE)
        assert await unit.scalar(text("SELECT current_user")) == "manta_app"
        assert list(await unit.scalars(text("SELECT user_id FROM memberships"))) == [TWO.user_id]
    await database.close()


async def test_nothing_is_written_through_it(database: ReplicatedDatabase, primary: EmbeddedPostgres) -> None:
    for statement in ("UPDATE memberships SET role = 'owner'", "SET TRANSACTION READ WRITE", "CREATE TABLE x (i int)"):
        with pytest.raises(DBAPIError, match=r"read-only|read-write|recovery"):
            async with database.reading(ONE) as unit:
                await unit.execute(text(statement))
    alone = Database(primary.urls.app_url, pool_size=1)  # the same promise where there is no replica
    with pytest.raises(DBAPIError, match="read-only"):
        async with alone.reading(ONE) as unit:
            await unit.execute(text("UPDATE memberships SET role = 'owner'"))
    await alone.close()


async def test_a_replica_that_is_behind_is_passed_over(
    database: ReplicatedDatabase, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica.ask("SELECT pg_wal_replay_pause()")
    until(lambda: replica.ask("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
    assert await on_replica(database)  # nothing was written since
    async with database.unit(ONE) as unit:
        await record(unit, None, "test.behind", organization_id=ONE.organization_id)
    async with database.reading(ONE) as unit:
        assert not await unit.scalar(WHERE)
        (newest,) = await audit_queries.newest(unit, ONE.organization_id, Filter(), before=None, limit=1)
        assert newest.action == "test.behind"
    assert await database.replica_state() == "behind"
    replica.ask("SELECT pg_wal_replay_resume()")
    monkeypatch.setattr(module, "CATCH_UP_S", 30.0)
    assert await on_replica(database)


async def test_killed_frozen_and_back(
    database: ReplicatedDatabase, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    assert await on_replica(database)
    replica.kill()
    for _ in range(5):
        assert not await on_replica(database)
    assert await database.replica_state() == "unreachable"
    replica.start()
    monkeypatch.setattr(module, "CATCH_UP_S", 30.0)
    monkeypatch.setattr(module, "OPEN_S", 30.0)
    assert await on_replica(database)
    monkeypatch.setattr(module, "OPEN_S", 0.2)
    replica.signal(signal.SIGSTOP)
    try:
        assert not await on_replica(database)
    finally:
        replica.signal(signal.SIGCONT)
    monkeypatch.setattr(module, "OPEN_S", 30.0)
    assert await on_replica(database)


async def test_a_replica_that_is_away_is_not_asked_each_time(
    primary: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = ReplicatedDatabase(primary.urls.app_url, "postgresql://manta_app@127.0.0.1:1/manta")
    assert not await on_replica(database)
    assert database._not_before > 0

    async def asked(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(database, "_standing_of_replica", asked)
    assert not await on_replica(database)
    await database.close()


async def test_a_death_in_the_middle_is_told_once(
    database: ReplicatedDatabase, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CATCH_UP_S", 30.0)

    async def long_read() -> None:
        async with database.reading(ONE) as unit:
            assert await unit.scalar(WHERE)
            await asyncio.to_thread(replica.kill)
            await unit.scalar(WHERE)

    with pytest.raises(Unavailable):
        await long_read()
    assert not await on_replica(database)
    await asyncio.to_thread(replica.start)


async def test_what_is_no_replica_of_this_database_is_not_read(
    primary: EmbeddedPostgres, postgres: EmbeddedPostgres
) -> None:
    """The primary itself, and another server."""
    for url in (primary.urls.app_url, postgres.urls.app_url):
        database = ReplicatedDatabase(primary.urls.app_url, url)
        assert await database.replica_state() == "no replica of this database"
        async with database.reading(ONE) as unit:
            assert list(await unit.scalars(text("SELECT user_id FROM memberships"))) == [ONE.user_id]
        await database.close()


async def test_a_promoted_replica_is_read_no_more(primary: EmbeddedPostgres) -> None:
    """What is written there from now on is not ours."""
    with replica_of(primary) as other:
        database = ReplicatedDatabase(primary.urls.app_url, other.url)
        other.ask("SELECT pg_promote()")
        assert await database.replica_state() == "no replica of this database"
        assert not await on_replica(database)
        await database.close()
