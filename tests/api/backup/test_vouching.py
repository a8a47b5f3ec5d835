"""A restored database ends before the last anchors of its audit log: the restore vouches for that, and for no more."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from api.audit import anchors, checking
from api.audit.anchors import Anchor, anchors_of
from api.audit.chain import Head
from api.audit.checking import Report
from api.audit.record import record
from api.backup.aftermath import Aftermath
from api.backup.restore import Known, refuse_used, restore
from api.backup.store import Store
from api.backup.take import take
from api.db import audit as audit_queries
from api.db.session import AUDIT_ROLE, Database
from api.scope import Scope
from configs.datadir import Layout
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import layout_of, restored_server, source_of
from tests.fixtures.data_dirs import held_layout
from tests.fixtures.database import query

Result = TypeVar("Result")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def chained(filled: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    query(filled, "insert into organizations (id, name) values ('one', 'One'), ('two', 'Two') on conflict do nothing")
    write(filled, "one", 3)
    yield filled
    query(filled, "set session_replication_role = replica; delete from audit_log; delete from audit_heads")


def write(server: EmbeddedPostgres, organization_id: str, count: int) -> None:
    async def run() -> None:
        database = Database(server.urls.app_url, pool_size=1)
        for _ in range(count):
            async with database.unit(Scope(organization_id)) as unit:
                await record(unit, None, "test.write", organization_id=organization_id)
        await database.close()

    asyncio.run(run())


def heads(server: EmbeddedPostgres) -> list[Head]:
    async def run(database: Database) -> list[Head]:
        async with database.snapshot() as unit:
            return await audit_queries.heads(unit)

    return as_auditor(server, run)


def as_auditor(server: EmbeddedPostgres, work: Callable[[Database], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        database = Database(server.urls.audit_url, pool_size=1, role=AUDIT_ROLE)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def report(server: EmbeddedPostgres, path: Path) -> Report:
    known = checking.anchored([path], layout_of(server).secrets)
    return as_auditor(server, lambda database: checking.check(database, known))


def anchor(server: EmbeddedPostgres, path: Path) -> None:
    anchors.append(path, anchors_of(heads(server)), layout_of(server).secret(anchors.KEY))


def restored(store: Store, data_dir: Path, path: Path | None) -> Aftermath:
    with held_layout(data_dir) as layout:
        return restore(store, store.manifest(None), layout, known=Known(anchors=path))


def test_anchors_that_are_newer_than_the_backup_end(
    chained: EmbeddedPostgres, store: Store, fresh: Path, tmp_path: Path
) -> None:
    """Also those of an organization that was made since."""
    path = tmp_path / "anchors"
    anchor(chained, path)
    take(store, source_of(chained))
    write(chained, "one", 2)
    write(chained, "two", 1)
    anchor(chained, path)
    done = restored(store, fresh, path)
    assert [(head.organization_id, head.seq) for head in done.vouched] == [("one", 3), ("two", 0)]
    assert done.faults == 0
    with restored_server(fresh) as server:
        found = report(server, path)
        assert found.faults == []
        assert [(each.organization_id, each.seq) for each in found.restored] == [("one", 3), ("two", 0)]
        told = "select organization_id, seq from audit_log where action = 'database.restored'"
        assert query(server, told) == [("one", 4)]


def test_where_nothing_is_newer_nothing_is_vouched_for(chained: EmbeddedPostgres, store: Store, fresh: Path) -> None:
    """And a copy of the anchors may lie in the new directory before."""
    take(store, source_of(chained))
    Layout(fresh).prepare()
    anchor(chained, fresh / anchors.FILE)
    before = (fresh / anchors.FILE).read_bytes()
    refuse_used(fresh)
    done = restored(store, fresh, None)
    assert (done.vouched, done.faults) == ([], 0)
    assert (fresh / anchors.FILE).read_bytes() == before


def test_what_no_backup_explains_is_not_vouched_away(
    chained: EmbeddedPostgres, store: Store, fresh: Path, tmp_path: Path
) -> None:
    """The second entry was anchored as another one: somebody wrote the chain anew before the backup was taken."""
    path, key = tmp_path / "anchors", layout_of(chained).secret(anchors.KEY)
    anchors.append(path, [Anchor("one", 2, b"x" * 32, "2026-01-01")], key)
    take(store, source_of(chained))
    write(chained, "one", 1)
    anchor(chained, path)
    done = restored(store, fresh, path)
    assert [(head.organization_id, head.seq) for head in done.vouched] == [("one", 3)]
    assert done.faults == 1
    with restored_server(fresh) as server:
        (fault,) = report(server, path).faults
        assert (fault.seq, fault.last) == (1, 2)
