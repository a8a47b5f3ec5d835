"""What search results are read from, in a database whose tables have grown since anybody looked at them."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import TextClause, text

from api.db import passages, schema
from api.db.session import Database
from api.scope import Scope
from configs.postgres import EmbeddedPostgres
from tests.fixtures.data_dirs import held_layout, open_folder
from tests.fixtures.database import query

CHUNKS = 20_000
ASKED = list(range(0, CHUNKS, CHUNKS // 50))
MOST_ROWS = 20 * len(ASKED)
OWNER = Scope("org_1", "user_1")
FILL = """
SET session_replication_role = replica;
INSERT INTO files (id, organization_id, user_id, data_key_id, name, purpose, size, digest, blob)
    SELECT 'file-' || n, 'org_1', 'user_1', 'dk', 'x', 'batch', 1, 'x', 'b' || n FROM generate_series(0, :last) n;
INSERT INTO vector_store_files (vector_store_id, file_id, organization_id, user_id, attributes, max_tokens,
    overlap_tokens) SELECT 'vs', 'file-' || n, 'org_1', 'user_1', 'x', 800, 400 FROM generate_series(0, :last) n;
INSERT INTO chunks (vector_store_id, id, file_id, organization_id, user_id, seq, number, content, vectors)
    SELECT 'vs', n, 'file-' || n, 'org_1', 'user_1', n / 50, 0, 'x', repeat('x', 1500)::bytea
    FROM generate_series(0, :last) n;
"""


@pytest.fixture(scope="module")
def grown() -> Iterator[EmbeddedPostgres]:
    """One store of many files, never analyzed."""
    with open_folder() as root, held_layout(root / "data") as layout, EmbeddedPostgres(layout) as server:
        schema.upgrade(server.urls.owner_url)
        for table in ("files", "vector_store_files", "chunks"):
            query(server, f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        query(server, FILL.replace(":last", str(CHUNKS - 1)))
        yield server


@pytest.fixture
async def reader(grown: EmbeddedPostgres) -> AsyncIterator[Database]:
    database = Database(grown.urls.app_url, pool_size=1)
    yield database
    await database.close()


def rows(plan: dict[str, Any]) -> float:
    """What all steps of a plan looked at. A bitmap takes a key's index together with that of an organization, say."""
    assert "Bitmap" not in plan["Node Type"]
    own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return float(own + sum(rows(below) for below in plan.get("Plans", ())))


async def looked_at(database: Database, statement: TextClause, chunk_ids: Sequence[int]) -> float:
    async with database.unit(OWNER, by_key=True) as unit:
        asked = text("EXPLAIN (ANALYZE, FORMAT JSON) " + statement.text)
        told = (await unit.execute(asked, {"store_id": "vs", "chunk_ids": list(chunk_ids)})).scalar_one()
    return rows((told if isinstance(told, list) else json.loads(told))[0]["Plan"])


async def test_only_what_was_found_is_looked_at(reader: Database) -> None:
    async with reader.unit(OWNER) as unit:
        found = await passages.found(unit, "vs", ASKED)
    assert sorted(each.chunk.id for each in found) == ASKED
    assert all(each.name.file_id == each.file_id == f"file-{each.chunk.id}" for each in found)
    assert await looked_at(reader, passages.FOUND, ASKED) < MOST_ROWS


async def test_nobody_else_finds_them(reader: Database) -> None:
    async with reader.unit(Scope("org_1", "user_2")) as unit:
        assert await passages.found(unit, "vs", ASKED) == []


async def test_a_file_whose_time_is_over_is_not_read(grown: EmbeddedPostgres, reader: Database) -> None:
    query(grown, "UPDATE files SET expires_at = now() - interval '1 minute' WHERE id = 'file-0'")
    async with reader.unit(OWNER) as unit:
        assert len(await passages.found(unit, "vs", ASKED)) == len(ASKED) - 1
