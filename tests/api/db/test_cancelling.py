"""Batches that are cancelled while their files are to be indexed anew."""

import pytest

from api.db import ingest, store_files
from api.db.ingest_parts import Outcome, Part
from api.db.session import Database
from api.db.store_files import Given, Whose
from api.db.tables import VectorStoreFileBatch
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import ORGANIZATION, query
from tests.fixtures.knowledge import add_file, add_store, numbers
from tests.fixtures.queued import chunks, claimed, write

BATCH = "vsfb_a"
TOLD = "SELECT status, chunk_count, usage_bytes, max_tokens FROM vector_store_files"


@pytest.fixture
def file(postgres: EmbeddedPostgres, jobs: Database) -> str:
    add_store(postgres, "vs_a")
    query(
        postgres,
        "INSERT INTO vector_store_file_batches (id, organization_id, vector_store_id) VALUES (%s, %s, 'vs_a')",
        BATCH, ORGANIZATION,
    )  # fmt: skip
    return add_file(postgres, "vs_a", "a")


async def index(jobs: Database, *which: int, ends: bool = True) -> None:
    (claim,) = await claimed(jobs)
    await write(jobs, Part(claim.hold, chunks(*which), Outcome(len(which), 9) if ends else None))


async def again(jobs: Database, file: str, max_tokens: int) -> None:
    async with jobs.unit() as unit:
        await store_files.again(unit, Whose("vs_a", ORGANIZATION, None, BATCH), [Given(file, b"", max_tokens, 0)])


async def cancel(jobs: Database) -> None:
    async with jobs.unit() as unit:
        batch = await unit.get(VectorStoreFileBatch, BATCH)
        assert batch is not None
        await store_files.cancel(unit, batch)


async def settled(jobs: Database) -> int:
    async with jobs.unit() as unit:
        return await ingest.settle(unit)


async def test_what_nobody_began_stays_as_it_was_cut(postgres: EmbeddedPostgres, jobs: Database, file: str) -> None:
    await index(jobs, 0, 1, 2)
    for max_tokens in (400, 300):
        await again(jobs, file, max_tokens)
    await cancel(jobs)
    assert query(postgres, TOLD) == [("completed", 3, 9, 800)]
    assert await settled(jobs) == 0
    assert len(numbers(postgres, file)) == 3


@pytest.mark.parametrize("before", [(), (0, 1, 2)])
async def test_what_was_half_written_goes_though_it_was_asked_for_again(
    postgres: EmbeddedPostgres, jobs: Database, file: str, before: tuple[int, ...]
) -> None:
    if before:
        await index(jobs, *before)
        await again(jobs, file, 400)
    await index(jobs, 0, 1, ends=False)
    await again(jobs, file, 300)
    await cancel(jobs)
    assert query(postgres, TOLD) == [("cancelled", 0, 0, 300)]
    assert await settled(jobs) == 1
    assert numbers(postgres, file) == []


async def test_what_was_cancelled_and_cleared_is_not_there_the_next_time(
    postgres: EmbeddedPostgres, jobs: Database, file: str
) -> None:
    await index(jobs, 0, 1, 2)
    await again(jobs, file, 400)
    await claimed(jobs, lease_s=0)
    await cancel(jobs)
    await settled(jobs)
    await again(jobs, file, 200)
    await cancel(jobs)
    assert numbers(postgres, file) == []
    assert query(postgres, TOLD) == [("cancelled", 0, 0, 200)]
