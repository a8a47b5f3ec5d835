import asyncio

import pytest

from api.db import ingest
from api.db.ingest import Claim
from api.db.ingest_parts import Outcome, Part
from api.db.session import Database
from api.scope import INSTALLATION
from bench.explain import heard, plans, walked
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import ORGANIZATION, query
from tests.fixtures.knowledge import add_file, add_store, numbers, standing
from tests.fixtures.queued import chunks, claimed, write


def ids(claims: list[Claim]) -> list[str]:
    return [claim.hold.file_id for claim in claims]


async def test_claims_are_exclusive(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    files = [add_file(postgres, "vs_a", f"{number:03}") for number in range(100)]
    groups = await asyncio.gather(*(claimed(jobs) for _ in range(4)))
    found = [name for group in groups for name in ids(group)]
    while more := ids(await claimed(jobs)):
        found += more
    assert sorted(found) == files
    assert len(groups[0]) <= ingest.GROUP_FILES


async def test_a_group_has_one_model_and_little_to_read(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a", "one")
    add_store(postgres, "vs_b", "two")
    add_store(postgres, "vs_c", "one")
    big = add_file(postgres, "vs_a", "big", ingest.GROUP_BYTES * 2)
    small = [add_file(postgres, "vs_a", f"small{number}") for number in range(2)]
    other, last = add_file(postgres, "vs_b", "other"), add_file(postgres, "vs_c", "last")
    assert ids(await claimed(jobs)) == [big]
    assert ids(await claimed(jobs)) == [*small, last]
    assert ids(await claimed(jobs)) == [other]


async def test_stores_take_turns(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    add_store(postgres, "vs_b", "other")
    for number in range(130):
        add_file(postgres, "vs_a", f"{number:03}")
    late = add_file(postgres, "vs_b", "late")
    first = await claimed(jobs)
    assert len(first) == ingest.GROUP_FILES
    assert ids(await claimed(jobs, after=first[-1].hold.store_id)) == [late]
    assert len(await claimed(jobs, after="vs_b")) == ingest.GROUP_FILES


async def test_what_broke_off_is_tried_alone_and_three_times(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    first, second = (add_file(postgres, "vs_a", name) for name in "ab")
    assert ids(await claimed(jobs, lease_s=0)) == [first, second]
    assert ids(await claimed(jobs)) == [first]
    (again,) = await claimed(jobs, lease_s=0)
    assert (again.hold.file_id, again.attempts) == (second, 1)
    await write(jobs, Part(again.hold, chunks(0)))
    assert ids(await claimed(jobs, lease_s=0)) == [second]
    assert await claimed(jobs) == []
    async with jobs.unit() as unit:
        assert await ingest.settle(unit) == 1
    assert standing(postgres, second) == ("failed", "server_error", 0, 3)
    assert numbers(postgres, second) == []
    assert standing(postgres, first)[0] == "in_progress"


async def test_chunks_are_numbered_in_the_order_they_came(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    first, second = (add_file(postgres, "vs_a", name) for name in "ab")
    a, b = (claim.hold for claim in await claimed(jobs))
    assert await write(jobs, Part(a, chunks(0, 1))) == set()
    assert await write(jobs, Part(a, chunks(2), Outcome(3, 99)), Part(b, chunks(0), Outcome(1, 9))) == set()
    (zero, seq, _), *rest = numbers(postgres, first)
    later = rest[-1][1]
    assert (zero, rest) == (0, [(1, seq, 1), (2, later, 2)])
    assert numbers(postgres, second) == [(3, later, 0)]
    assert later > seq > 0
    assert standing(postgres, first) == ("completed", None, 3, 1)
    assert query(postgres, "SELECT usage_bytes, leased_until FROM vector_store_files WHERE file_id = %s", first) == [
        (99, None)
    ]
    assert query(postgres, "SELECT content, vectors, organization_id, user_id FROM chunks WHERE id = 3") == [
        (b"c0", b"v", ORGANIZATION, None)
    ]


async def test_an_end_that_comes_alone_takes_nothing_back(postgres: EmbeddedPostgres, jobs: Database) -> None:
    """The last chunk may have filled its batch; a second try begins with chunk 0, or with the end of an empty file."""
    add_store(postgres, "vs_a")
    file = add_file(postgres, "vs_a", "f")
    (first,) = await claimed(jobs)
    await write(jobs, Part(first.hold, chunks(0, 1, 2)))
    async with jobs.unit() as unit:
        await ingest.give_back(unit, {first.hold})
    (second,) = await claimed(jobs)
    await write(jobs, Part(second.hold, chunks(0, 1)))
    await write(jobs, Part(second.hold, (), Outcome(2, 10)))
    assert standing(postgres, file)[:3] == ("completed", None, 2)
    assert [number for *_, number in numbers(postgres, file)] == [0, 1]


async def test_a_second_try_that_finds_no_text_leaves_no_chunk(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    file = add_file(postgres, "vs_a", "f")
    (first,) = await claimed(jobs)
    await write(jobs, Part(first.hold, chunks(0, 1, 2)))
    async with jobs.unit() as unit:
        await ingest.give_back(unit, {first.hold})
    (second,) = await claimed(jobs)
    await write(jobs, Part(second.hold, (), Outcome(0, 0)))
    assert numbers(postgres, file) == []


async def test_who_lost_the_lease_writes_nothing(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    file = add_file(postgres, "vs_a", "a")
    (old,) = await claimed(jobs, lease_s=0)
    assert await write(jobs, Part(old.hold, chunks(0, 1, 2))) == set()
    (new,) = await claimed(jobs)
    assert await write(jobs, Part(old.hold, chunks(3), Outcome(4))) == {file}
    async with jobs.unit() as unit:
        assert await ingest.renew(unit, [old.hold, new.hold]) == {new.hold}
        assert await ingest.give_back(unit, [old.hold]) == set()
    assert await write(jobs, Part(new.hold, chunks(0))) == set()
    assert [number for *_, number in numbers(postgres, file)] == [0]
    ((gone,),) = query(postgres, "SELECT chunk_ids FROM vector_store_changes WHERE chunk_ids <> '{}'")
    assert gone == [0, 1, 2]


async def test_a_write_whose_answer_was_lost_may_come_again(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    file = add_file(postgres, "vs_a", "a")
    (claim,) = await claimed(jobs)
    for _ in range(2):
        await write(jobs, Part(claim.hold, chunks(0, 1)))
    assert await write(jobs, Part(claim.hold, chunks(2), Outcome(3))) == set()
    assert [number for *_, number in numbers(postgres, file)] == [0, 1, 2]


async def test_a_cancelled_file_is_dropped_with_what_was_written(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    file = add_file(postgres, "vs_a", "a")
    (claim,) = await claimed(jobs, lease_s=0)
    await write(jobs, Part(claim.hold, chunks(0)))
    query(postgres, "UPDATE vector_store_files SET status = 'cancelled'")
    assert await write(jobs, Part(claim.hold, chunks(1), Outcome(2))) == {file}
    assert numbers(postgres, file) == []
    assert standing(postgres, file)[0] == "cancelled"


async def test_a_cancelled_file_that_nobody_works_on_is_cleared(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    file = add_file(postgres, "vs_a", "a")
    (claim,) = await claimed(jobs, lease_s=0)
    await write(jobs, Part(claim.hold, chunks(0)))
    query(postgres, "UPDATE vector_store_files SET status = 'cancelled'")
    async with jobs.unit() as unit:
        assert await ingest.settle(unit) == 1
    assert numbers(postgres, file) == []


@pytest.mark.parametrize("deletion", ["DELETE FROM files WHERE id = 'file-q-a'", "DELETE FROM vector_stores"])
async def test_what_is_deleted_meanwhile_stays_deleted(
    postgres: EmbeddedPostgres, jobs: Database, deletion: str
) -> None:
    add_store(postgres, "vs_a")
    file = add_file(postgres, "vs_a", "a")
    (claim,) = await claimed(jobs)
    await write(jobs, Part(claim.hold, chunks(0)))
    query(postgres, deletion)
    assert await write(jobs, Part(claim.hold, chunks(1), Outcome(2))) == {file}
    assert numbers(postgres, file) == []


async def test_a_failed_file_has_no_chunks_and_says_why(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    file = add_file(postgres, "vs_a", "a")
    (claim,) = await claimed(jobs)
    await write(jobs, Part(claim.hold, chunks(0)))
    await write(jobs, Part(claim.hold, (), Outcome(error_code="invalid_file", error_message="It is broken.")))
    assert standing(postgres, file) == ("failed", "invalid_file", 0, 1)
    assert numbers(postgres, file) == []
    assert query(postgres, "SELECT error_message FROM vector_store_files") == [("It is broken.",)]


async def test_giving_back_does_not_count_unless_the_file_may_be_the_reason(
    postgres: EmbeddedPostgres, jobs: Database
) -> None:
    add_store(postgres, "vs_a")
    file = add_file(postgres, "vs_a", "a")
    (claim,) = await claimed(jobs)
    async with jobs.unit() as unit:
        assert await ingest.give_back(unit, [claim.hold]) == {claim.hold}
    assert standing(postgres, file) == ("in_progress", None, 0, 0)
    (claim,) = await claimed(jobs)
    async with jobs.unit() as unit:
        await ingest.give_back(unit, [claim.hold], delay_s=60, charged=True)
    assert standing(postgres, file) == ("in_progress", None, 0, 1)
    assert await claimed(jobs) == []


async def test_a_new_leader_takes_over_at_once(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    add_file(postgres, "vs_a", "a")
    (old,) = await claimed(jobs)
    async with jobs.unit() as unit:
        assert await ingest.release_all(unit) == 1
    (new,) = await claimed(jobs)
    assert new.hold.file_id == old.hold.file_id
    assert await write(jobs, Part(old.hold, chunks(0))) == {old.hold.file_id}
    assert await write(jobs, Part(new.hold, chunks(0))) == set()


async def test_nothing_is_done_for_a_store_that_is_over(postgres: EmbeddedPostgres, jobs: Database) -> None:
    add_store(postgres, "vs_a")
    add_file(postgres, "vs_a", "a")
    query(postgres, "UPDATE vector_stores SET expires_after_days = 1, last_active_at = now() - interval '2 days'")
    assert await claimed(jobs) == []
    query(postgres, "UPDATE vector_stores SET last_active_at = now()")
    assert len(await claimed(jobs)) == 1


async def test_claiming_from_many_walks_no_table(postgres: EmbeddedPostgres, jobs: Database) -> None:
    query(
        postgres,
        "SET session_replication_role = replica;"
        "INSERT INTO vector_stores (id, organization_id, data_key_id, about, embedding_model, dimensions)"
        " SELECT 'vs_' || n, 'default', 'dk', 'x', 'm', 3 FROM generate_series(1, 1000) n;"
        "INSERT INTO files (id, organization_id, data_key_id, name, purpose, size, digest, blob)"
        " SELECT 'file-q-' || n, 'default', 'dk', 'x', 'assistants', 1, 'x', 'b' FROM generate_series(1, 30000) n;"
        "INSERT INTO vector_store_files (vector_store_id, file_id, organization_id, attributes, max_tokens,"
        " overlap_tokens) SELECT 'vs_' || (n % 1000 + 1), 'file-q-' || n, 'default', 'x', 800, 400"
        " FROM generate_series(1, 30000) n;"
        "INSERT INTO chunks (vector_store_id, id, file_id, organization_id, seq, number, content, vectors)"
        " SELECT 'vs_' || (n % 1000 + 1), n, 'file-q-' || n, 'default', n, 0, 'x', 'x'"
        " FROM generate_series(20000, 30000) n;",
    )
    query(postgres, "ANALYZE vector_stores, files, vector_store_files, chunks")
    with heard(jobs) as seen:
        (first, *_) = await claimed(jobs, after="vs_5")
        await write(jobs, Part(first.hold, chunks(0), Outcome(1)))
        async with jobs.unit() as unit:
            await ingest.settle(unit)
            await ingest.renew(unit, [first.hold])
    told = await plans(jobs, [each for each in seen if isinstance(each[1], dict)], INSTALLATION)
    found = {statement: set(walked(plan)) for statement, plan in told.items()}
    assert {name: tables for name, tables in found.items() if tables} == {}
