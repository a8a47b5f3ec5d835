"""Ingest goes on with a database that was set back, or lost its last commits to a standby that took over."""

import pytest

from api.db.ingest_parts import Outcome, Part
from api.db.session import Database
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query
from tests.fixtures.knowledge import add_file, add_store, numbers, standing
from tests.fixtures.queued import chunks, claimed, write


@pytest.fixture
def file(postgres: EmbeddedPostgres, jobs: Database) -> str:
    add_store(postgres, "vs_a")
    return add_file(postgres, "vs_a", "a")


@pytest.mark.parametrize("last", [chunks(4), []])
async def test_a_file_whose_middle_was_lost_is_indexed_once_more(
    postgres: EmbeddedPostgres, jobs: Database, file: str, last: list[tuple[int, bytes, bytes]]
) -> None:
    (claim,) = await claimed(jobs)
    for some in (chunks(0, 1), chunks(2, 3)):
        assert await write(jobs, Part(claim.hold, some)) == set()
    query(postgres, "DELETE FROM chunks WHERE number >= 2")
    assert await write(jobs, Part(claim.hold, last, Outcome(4 + len(last), 9))) == {file}
    assert standing(postgres, file) == ("in_progress", None, 0, 1)
    (claim,) = await claimed(jobs)
    await write(jobs, Part(claim.hold, chunks(0, 1, 2, 3)))
    assert await write(jobs, Part(claim.hold, last, Outcome(4 + len(last), 9))) == set()
    assert standing(postgres, file)[:3] == ("completed", None, 4 + len(last))
    assert [number for *_, number in numbers(postgres, file)] == list(range(4 + len(last)))


async def test_a_lost_beginning_is_not_made_up_for_by_a_former_try(
    postgres: EmbeddedPostgres, jobs: Database, file: str
) -> None:
    """What was cut in another way is longer here; the new try's chunks but for the last never came to be."""
    (former,) = await claimed(jobs, lease_s=0)
    await write(jobs, Part(former.hold, chunks(*range(10))))
    (claim,) = await claimed(jobs)
    assert await write(jobs, Part(claim.hold, chunks(4), Outcome(5, 9))) == {file}
    assert standing(postgres, file)[0] == "in_progress"


async def test_no_claim_has_the_number_of_one_that_was_forgotten(
    postgres: EmbeddedPostgres, jobs: Database, file: str
) -> None:
    (lost,) = await claimed(jobs)
    query(postgres, "UPDATE vector_store_files SET epoch = 0, attempts = 0, leased_until = NULL")
    (claim,) = await claimed(jobs)
    assert await write(jobs, Part(lost.hold, chunks(0), Outcome(1, 9))) == {file}
    assert await write(jobs, Part(claim.hold, chunks(0), Outcome(1, 9))) == set()
