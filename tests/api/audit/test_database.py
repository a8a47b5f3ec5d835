"""The chain that the database makes, what its owner does to it, and who finds out."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from api.audit import checking
from api.audit.anchoring import Anchoring
from api.audit.anchors import Anchored
from api.audit.chain import Trace, digest, verify
from api.audit.record import record
from api.db import audit as audit_queries
from api.db.session import AUDIT_ROLE, JOBS_ROLE, Database
from api.scope import Scope
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query


@pytest.fixture
async def auditor(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = Database(postgres.urls.audit_url, role=AUDIT_ROLE)
    yield database
    await database.close()


@pytest.fixture
async def anchoring(postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Anchoring]:
    """Anchors of this test's own folder."""
    (tmp_path / "secrets").mkdir(mode=0o700)
    database = Database(postgres.urls.jobs_url, role=JOBS_ROLE)
    made = Anchoring(database, tmp_path / "anchors", tmp_path / "secrets")
    yield made
    await made.close()


@contextmanager
def without_triggers(postgres: EmbeddedPostgres) -> Iterator[None]:
    """As whoever owns the database may have it."""
    for each in ("audit_log_rows", "audit_log_table"):
        query(postgres, f"ALTER TABLE audit_log DISABLE TRIGGER {each}")
    yield
    for each in ("audit_log_rows", "audit_log_table"):
        query(postgres, f"ALTER TABLE audit_log ENABLE TRIGGER {each}")


async def filled(database: Database, organization_id: str, count: int = 12) -> None:
    for number in range(count):
        async with database.unit(Scope(organization_id)) as unit:
            await record(
                unit,
                None,
                f"test.{number}",
                organization_id=organization_id,
                target="ß €𝄞",
                text="ü\n\"'",
                number=number,
            )


async def report(
    auditor: Database, organization_id: str, known: Anchored | None = None
) -> list[tuple[int, int, Trace]]:
    found = await checking.check(auditor, known or Anchored(), organization_id)
    return [(fault.seq, fault.last, fault.trace) for fault in found.faults]


async def test_the_database_hashes_as_this_code_does(database: Database, auditor: Database) -> None:
    await filled(database, "org_same")
    async with auditor.snapshot() as unit:
        entries = await audit_queries.entries(unit, "org_same", after=None, limit=100)
        (head,) = [head for head in await audit_queries.heads(unit) if head.organization_id == "org_same"]
    assert [entry.seq for entry in entries] == list(range(1, 13))
    assert all(digest(entry, entry.previous_hash) == entry.hash for entry in entries)
    assert verify(entries, head) == []


async def test_entries_of_many_at_once_have_no_gaps(database: Database, auditor: Database) -> None:
    await asyncio.gather(*(filled(database, "org_many", 5) for _ in range(6)))
    assert await report(auditor, "org_many") == []
    async with auditor.snapshot() as unit:
        assert len(await audit_queries.entries(unit, "org_many", after=None, limit=100)) == 30


async def test_an_entry_of_a_unit_that_fails_is_not_there(database: Database, auditor: Database) -> None:
    async with database.unit(Scope("org_failed")) as unit:
        await record(unit, None, "test.failed", organization_id="org_failed")
        await unit.rollback()
    await filled(database, "org_failed", 1)
    assert await report(auditor, "org_failed") == []


DEEDS = {
    "an edit": ("UPDATE audit_log SET target = 'x' WHERE organization_id = %s AND seq = 5", [(5, 5, Trace.EDITED)]),
    "a later date": (
        "UPDATE audit_log SET created_at = created_at + interval '1 day' WHERE organization_id = %s AND seq = 5",
        [(5, 5, Trace.EDITED)],
    ),
    "another hash": (
        "UPDATE audit_log SET hash = '\\x00' WHERE organization_id = %s AND seq = 5",
        [(5, 5, Trace.EDITED)],
    ),
    "a delete": ("DELETE FROM audit_log WHERE organization_id = %s AND seq IN (5, 6)", [(5, 6, Trace.MISSING)]),
    "a cut": ("DELETE FROM audit_log WHERE organization_id = %s AND seq > 9", [(10, 12, Trace.MISSING)]),
    "a swap": (
        "UPDATE audit_log a SET actor = b.actor, action = b.action, details = b.details FROM audit_log b"
        " WHERE a.organization_id = %s AND b.organization_id = a.organization_id"
        " AND (a.seq, b.seq) IN ((4, 7), (7, 4))",
        [(4, 4, Trace.EDITED), (7, 7, Trace.EDITED)],
    ),
    "an insertion": (
        "INSERT INTO audit_log SELECT organization_id, seq + 1, created_at, actor, action, target, outcome, address,"
        " request_id, details, previous_hash, hash FROM audit_log WHERE organization_id = %s AND seq = 12",
        [(13, 13, Trace.BEYOND)],
    ),
    "one before the first": (
        "INSERT INTO audit_log SELECT organization_id, -5, created_at, actor, action, target, outcome, address,"
        " request_id, details, previous_hash, hash FROM audit_log WHERE organization_id = %s AND seq = 1",
        [(-5, -5, Trace.MISPLACED)],
    ),
    "all entries": ("DELETE FROM audit_log WHERE organization_id = %s", [(1, 12, Trace.MISSING)]),
}  # fmt: skip


@pytest.mark.parametrize("name", DEEDS)
async def test_what_the_owner_of_the_database_does_is_found(
    postgres: EmbeddedPostgres, database: Database, auditor: Database, name: str
) -> None:
    organization_id, (statement, faults) = f"org_deed_{name.replace(' ', '_')}", DEEDS[name]
    await filled(database, organization_id)
    assert await report(auditor, organization_id) == []
    with without_triggers(postgres):
        query(postgres, statement, organization_id)
    assert await report(auditor, organization_id) == faults


async def test_a_chain_cut_with_its_head_is_found_by_its_anchor(
    postgres: EmbeddedPostgres, database: Database, auditor: Database, anchoring: Anchoring, tmp_path: Path
) -> None:
    await filled(database, "org_cut")
    await anchoring.write()
    with without_triggers(postgres):
        query(postgres, "DELETE FROM audit_log WHERE organization_id = 'org_cut' AND seq > 8")
        query(
            postgres,
            "UPDATE audit_heads h SET seq = l.seq, hash = l.hash FROM audit_log l"
            " WHERE h.organization_id = 'org_cut' AND l.organization_id = 'org_cut' AND l.seq = 8",
        )
    assert await report(auditor, "org_cut") == []
    known = checking.anchored([tmp_path / "anchors"], tmp_path / "secrets")
    assert await report(auditor, "org_cut", known) == [(9, 12, Trace.MISSING)]
    await filled(database, "org_cut", 6)
    assert await report(auditor, "org_cut", known) == [(1, 12, Trace.REWRITTEN)]


async def test_a_chain_that_is_gone_with_its_head_is_found_by_its_anchor(
    postgres: EmbeddedPostgres, database: Database, auditor: Database, anchoring: Anchoring, tmp_path: Path
) -> None:
    await filled(database, "org_gone")
    await anchoring.write()
    with without_triggers(postgres):
        for table in ("audit_log", "audit_heads"):
            query(postgres, f"DELETE FROM {table} WHERE organization_id = 'org_gone'")
    known = checking.anchored([tmp_path / "anchors"], tmp_path / "secrets")
    assert await report(auditor, "org_gone", known) == [(1, 12, Trace.MISSING)]


async def test_only_what_grew_is_anchored_again(database: Database, anchoring: Anchoring, tmp_path: Path) -> None:
    await filled(database, "org_grown", 1)
    assert await anchoring.write() >= 1
    assert await anchoring.write() == 0
    await filled(database, "org_grown", 2)
    assert await anchoring.write() == 1
    assert (tmp_path / "anchors").read_bytes().splitlines()[-1].startswith(b'{"organization_id":"org_grown","seq":3,')


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET target = 'x'", "DELETE FROM audit_log",
                                       "TRUNCATE audit_log", "INSERT INTO audit_log SELECT * FROM audit_log",
                                       "UPDATE audit_heads SET seq = 0", "DELETE FROM audit_heads"])  # fmt: skip
@pytest.mark.parametrize("role", ["app_url", "jobs_url"])
async def test_the_applications_roles_only_append(postgres: EmbeddedPostgres, role: str, statement: str) -> None:
    from sqlalchemy import text

    database = Database(getattr(postgres.urls, role))
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.bare() as session:
            await session.execute(text(statement))
    await database.close()


async def test_nobody_writes_into_anothers_chain(database: Database) -> None:
    with pytest.raises(DBAPIError, match="belongs to the organization"):
        async with database.unit(Scope("org_one")) as unit:
            await record(unit, None, "test.x", organization_id="org_two")


async def test_a_snapshot_reads_only(auditor: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        async with auditor.snapshot() as unit:
            await audit_queries.append(
                unit, organization_id="org_ro", at=datetime.now(UTC), actor="a", action="a", targets=["a"],
                outcome="ok", address="", request_id="", details="{}",
            )  # fmt: skip
