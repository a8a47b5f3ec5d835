"""How much an owner stores is a number that is always the sum, and no upload reads all files for it."""

from datetime import UTC, datetime, timedelta

import pytest

from api.db import files
from api.db.session import JOBS_ROLE, Database
from api.db.tables import File
from api.scope import Scope
from bench.explain import heard, plans
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query

ORG, PERSON = "org_totals", "user_totals"
OF_KEYS, OF_PERSON = Scope(ORG), Scope(ORG, PERSON)


@pytest.fixture(autouse=True)
def people(postgres: EmbeddedPostgres) -> None:
    query(postgres, "DELETE FROM users WHERE id = %s", PERSON)
    query(postgres, "DELETE FROM organizations WHERE id = %s", ORG)
    query(postgres, "INSERT INTO organizations (id, name) VALUES (%s, 'totals')", ORG)
    query(postgres, "INSERT INTO users (id, email) VALUES (%s, 'totals@example.com')", PERSON)


async def add(database: Database, scope: Scope, *sizes: int, expires_at: datetime | None = None) -> list[str]:
    ids = [f"file-{scope.user_id or 'key'}-{size}" for size in sizes]
    async with database.unit(scope) as unit:
        unit.add_all(
            File(
                id=id_, organization_id=ORG, user_id=scope.user_id or None, data_key_id="k", name=b"x",
                purpose="batch", size=size, digest=b"x", blob=id_, expires_at=expires_at,
            )
            for id_, size in zip(ids, sizes, strict=True)
        )  # fmt: skip
    return ids


async def stored(database: Database, scope: Scope) -> tuple[int, int]:
    async with database.unit(scope) as unit:
        return await files.stored(unit, ORG, scope.user_id or None)


def totals(postgres: EmbeddedPostgres) -> dict[str, int]:
    return dict(query(postgres, "SELECT owner_id, bytes FROM file_totals WHERE organization_id = %s", ORG))


async def test_it_is_the_sum_whatever_adds_and_removes(database: Database, postgres: EmbeddedPostgres) -> None:
    assert await stored(database, OF_PERSON) == (0, 0)
    mine = await add(database, OF_PERSON, 1, 20, 300)
    await add(database, OF_KEYS, 4000)
    await add(database, OF_KEYS, 50_000, expires_at=datetime.now(UTC) - timedelta(days=1))
    assert await stored(database, OF_PERSON) == (321, 54_321)
    assert await stored(database, OF_KEYS) == (54_000, 54_321)
    async with database.unit(OF_PERSON) as unit:
        await files.remove(unit, mine[1])
    jobs = Database(postgres.urls.jobs_url, role=JOBS_ROLE)
    async with jobs.unit() as unit:
        await files.remove_expired(unit, datetime.now(UTC))
    await jobs.close()
    assert totals(postgres) == {PERSON: 301, "": 4000}
    query(postgres, "DELETE FROM users WHERE id = %s", PERSON)
    assert totals(postgres) == {"": 4000}
    query(postgres, "DELETE FROM organizations WHERE id = %s", ORG)
    assert totals(postgres) == {}


async def test_nobody_else_sees_it(database: Database) -> None:
    await add(database, OF_PERSON, 5)
    assert await stored(database, Scope("org_other", PERSON)) == (0, 0)


async def test_no_file_is_read_for_it(database: Database) -> None:
    with heard(database) as seen:
        await stored(database, OF_PERSON)
    told = await plans(database, [each for each in seen if "stored_bytes" in each[0]], OF_PERSON)
    assert [str(plan).count("'files'") for plan in told.values()] == [0]
