"""The loop on a real database and real blobs, with the real work in a thread where Ray has a worker."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.db import models
from api.db.session import Database
from api.vault.vault import Vault
from configs.errors import ConfigurationError
from configs.postgres import EmbeddedPostgres
from retrieval import reading
from serving.ingest.protocol import FileWork
from tests.fixtures.database import bring_back, query
from tests.fixtures.encoders import MINILM, embedder, spec
from tests.fixtures.ingesting import AWAY, ThreadRunner, opened
from tests.fixtures.knowledge import empty, numbers, standing
from tests.fixtures.reading import find_code
from tests.fixtures.rooms import ORGANIZATION, Room

LONG = "The heron waits in the shallow water until a fish comes by. " * 400


@pytest.fixture
async def room(
    postgres: EmbeddedPostgres, database: Database, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Room]:
    find_code(tmp_path, monkeypatch)
    monkeypatch.setattr("api.control.ingest_group.BROKEN_DELAY_S", 0.0)
    monkeypatch.setattr("api.control.ingest_group.RETRY_S", 0.05)
    monkeypatch.setattr("serving.ingest.work.BATCH_CHUNKS", 8)
    reading.shared.cache_clear()
    empty(postgres)
    async with database.unit() as unit:
        await models.add(unit, spec(MINILM))
    yield Room(postgres, database, vault, tmp_path / "files", ThreadRunner(embedder()))
    async with database.unit() as unit:
        await models.remove(unit, "m")
    empty(postgres)
    reading.shared().close()
    reading.shared.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    embedder()


def counts(page: bytes) -> dict[str, float]:
    samples = [each for family in text_string_to_metric_families(page.decode()) for each in family.samples]
    return {each.labels.get("outcome", each.name): each.value for each in samples if "_created" not in each.name}


async def test_files_become_chunks_or_say_why_not(room: Room) -> None:
    one, two = await room.store(), await room.store()
    good = [await room.add(one, "a.md", "# Herons\n\nThey wade."), await room.add(two, "b.txt", LONG)]
    bad = await room.add(one, "c.pdf", "%PDF-1.4 this is none")
    async with room.working() as ingesting:
        assert counts(await ingesting.metrics())["manta_ingest_waiting_files"] <= 3
        found = await room.ended(*good, bad)
        now = counts(await ingesting.metrics())
    assert [state[0] for state in found] == ["completed", "completed", "failed"]
    assert (now["completed"], now["failed"]) == (2, 1)
    ((chunks, size),) = query(
        room.postgres,
        "SELECT count(*), sum(length(content) + length(vectors)) FROM chunks WHERE file_id = ANY(%s)",
        good,
    )
    assert (now["manta_ingest_chunks_total"], now["manta_ingest_bytes_total"]) == (chunks, size)
    assert now["manta_ingest_waiting_files"] == now["manta_ingest_working_files"] == 0
    assert found[2][1] == "invalid_file"
    assert all(room.whole(file) for file in good)
    assert query(room.postgres, "SELECT count(*) FROM vector_store_files WHERE leased_until IS NOT NULL") == [(0,)]
    ((number, content, vectors),) = query(
        room.postgres, "SELECT number, content, vectors FROM chunks WHERE file_id = %s", good[0]
    )
    work = FileWork(one, good[0], ORGANIZATION, "a.md", 100, 0, 384, (await room.key()).key)
    told, rows = opened(work, (number, content, vectors))
    assert (told["text"], told["headings"]) == ("# Herons\n\nThey wade.", ["Herons"])
    assert rows.shape == (1, 384)
    assert len(room.runner.groups) == 1


async def test_a_notification_wakes_it(room: Room) -> None:
    store = await room.store()
    async with room.working(poll_s=600):
        first = await room.add(store, "a.txt", "Herons wade.")
        await room.ended(first)
        await asyncio.sleep(0.2)
        await room.ended(await room.add(store, "b.txt", "Rays glide."))


async def test_who_does_not_lead_does_nothing(room: Room) -> None:
    file = await room.add(await room.store(), "a.txt", "Herons wade.")
    async with room.working(leads=False):
        await asyncio.sleep(0.3)
    assert standing(room.postgres, file) == ("in_progress", None, 0, 0)


async def test_work_that_breaks_off_is_done_again_alone_and_doubles_nothing(room: Room) -> None:
    store = await room.store()
    files = [await room.add(store, f"{name}.txt", LONG) for name in "ab"]
    room.runner.break_in = [RuntimeError("killed")]
    async with room.working():
        found = await room.ended(*files)
    assert [(state[0], state[3]) for state in found] == [("completed", 2)] * 2
    assert all(room.whole(file) for file in files)
    assert [len(group.files) for group in room.runner.groups] == [2, 1, 1]


async def test_what_breaks_three_times_has_failed(room: Room) -> None:
    store = await room.store()
    file, other = await room.add(store, "a.txt", LONG), await room.add(store, "b.txt", "Herons.")
    room.runner.break_in = [RuntimeError("killed")] * 3
    async with room.working():
        found = await room.ended(file, other)
    assert found[0] == ("failed", "server_error", 0, 3)
    assert numbers(room.postgres, file) == []
    assert found[1][0] == "completed"


async def test_a_place_of_files_that_is_away_is_no_fault_of_a_file(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.control.ingest_group.AWAY_DELAY_S", 0.0)
    file = await room.add(await room.store(), "a.txt", LONG)
    room.runner.break_in = [AWAY] * 5
    async with room.working():
        ((state, _, _, attempts),) = await room.ended(file)
    assert (state, attempts) == ("completed", 1)
    assert len(room.runner.groups) == 6
    assert room.whole(file)


async def test_a_file_whose_bytes_cannot_be_reached_waits_and_holds_up_no_other(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.control.ingest_group.AWAY_DELAY_S", 0.1)
    store = await room.store()
    first, second = await room.add(store, "a.txt", "Herons."), await room.add(store, "b.txt", "Rays.")
    ((blob,),) = query(room.postgres, "SELECT blob FROM files WHERE id = %s", first)
    place = room.folder / "blobs" / blob / "000000"
    kept = place.read_bytes()
    place.unlink()
    place.mkdir()
    async with room.working():
        await room.ended(second)
        assert standing(room.postgres, first)[0] == "in_progress"
        place.rmdir()
        place.write_bytes(kept)
        ((state, _, _, attempts),) = await room.ended(first)
    assert (state, attempts) == ("completed", 1)


async def test_a_model_that_is_gone_or_cannot_be_loaded_is_told(room: Room) -> None:
    gone = await room.add(await room.store("gone"), "a.txt", "Herons.")
    async with room.working():
        await room.ended(gone)
        room.runner.break_in = [ConfigurationError("no such folder")]
        broken = await room.add(await room.store(), "b.txt", LONG)
        await room.ended(broken)
    told = dict(query(room.postgres, "SELECT file_id, error_message FROM vector_store_files"))
    assert "manta models add" in told[gone]
    assert "cannot be loaded" in told[broken]
    assert "folder" not in told[broken]
    assert numbers(room.postgres, broken) == []


async def test_a_destroyed_key_fails_its_files_only(room: Room) -> None:
    lost = await room.add(await room.store(), "a.txt", "Herons.")
    query(room.postgres, "UPDATE files SET data_key_id = 'dk_gone' WHERE id = %s", lost)
    good = await room.add(await room.store(), "b.txt", "Rays.")
    async with room.working():
        found = await room.ended(lost, good)
    assert [state[:2] for state in found] == [("failed", "server_error"), ("completed", None)]


async def test_a_new_control_takes_over_what_a_dead_one_had(room: Room) -> None:
    file = await room.add(await room.store(), "a.txt", LONG)
    async with room.working(lease_s=3600):
        await room.written(file)
        room.runner.go_on.clear()
        async with room.working():
            async with asyncio.timeout(10):
                while len(room.runner.groups) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            room.runner.go_on.set()
            await room.ended(file)
    assert room.whole(file)


async def test_a_lease_runs_out_where_nobody_renews_it(room: Room) -> None:
    file = await room.add(await room.store(), "a.txt", "Herons.")
    query(room.postgres, "UPDATE vector_store_files SET epoch = 1, attempts = 1, leased_until = now() + '1 second'")
    async with room.working():
        await room.ended(file)
    assert room.whole(file)


async def test_leases_are_renewed_as_long_as_the_work_lasts(room: Room) -> None:
    file = await room.add(await room.store(), "a.txt", LONG)
    async with room.working(lease_s=0.6):
        await room.written(file)
        room.runner.go_on.clear()
        lease = "SELECT epoch, leased_until > now() FROM vector_store_files"
        before = query(room.postgres, lease)
        await asyncio.sleep(1.5)
        assert query(room.postgres, lease) == before
        assert before[0][1]
        room.runner.go_on.set()
        await room.ended(file)
    assert room.whole(file)


@pytest.mark.parametrize(
    "end", ["UPDATE vector_store_files SET status = 'cancelled' WHERE file_id = %s", "DELETE FROM files WHERE id = %s"]
)
async def test_a_file_that_nobody_wants_any_more_ends_the_work(room: Room, end: str) -> None:
    store = await room.store()
    file, next_one = await room.add(store, "a.txt", LONG), await room.add(store, "b.txt", "Herons.")
    async with room.working():
        await room.written(file)
        await asyncio.to_thread(query, room.postgres, end, file)  # work that is under way may hold the row
        ((state, _, _, attempts),) = await room.ended(next_one)
    assert (state, attempts) == ("completed", 1)
    assert room.runner.ended[0] is False
    assert numbers(room.postgres, file) == []


async def test_work_is_cancelled_where_nobody_wants_any_of_it(room: Room) -> None:
    file = await room.add(await room.store(), "a.txt", LONG)
    async with room.working(lease_s=0.3):
        await room.written(file)
        room.runner.go_on.clear()
        await asyncio.to_thread(query, room.postgres, "UPDATE vector_store_files SET status = 'cancelled'")
        await asyncio.sleep(0.5)
        room.runner.go_on.set()
        async with asyncio.timeout(10):
            while numbers(room.postgres, file):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert standing(room.postgres, file)[0] == "cancelled"


async def test_a_restart_of_the_database_loses_and_doubles_nothing(room: Room) -> None:
    file = await room.add(await room.store(), "a.txt", LONG)
    async with room.working():
        await room.written(file)
        room.postgres.stop()
        await asyncio.sleep(0.5)
        bring_back(room.postgres)
        ((state, _, _, attempts),) = await room.ended(file)
    assert (state, attempts) == ("completed", 1)
    assert room.whole(file)


async def test_closing_gives_back_at_once_and_counts_no_try(room: Room) -> None:
    file = await room.add(await room.store(), "a.txt", LONG)
    async with room.working():
        await room.written(file)
    state, _, _, attempts = standing(room.postgres, file)
    assert (state, attempts) == ("in_progress", 0)
    assert query(room.postgres, "SELECT count(*) FROM vector_store_files WHERE leased_until > now()") == [(0,)]
    async with room.working():
        await room.ended(file)
    assert room.whole(file)


async def test_groups_run_side_by_side(room: Room) -> None:
    files = [await room.add(await room.store(), f"{name}.txt", LONG) for name in "ab"]
    query(room.postgres, "UPDATE vector_store_files SET attempts = 1")
    room.runner.go_on.clear()
    async with room.working(workers=2):
        async with asyncio.timeout(10):
            while len(room.runner.groups) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        room.runner.go_on.set()
        await room.ended(*files)
    assert all(room.whole(file) for file in files)


async def test_workers_rest_when_there_is_nothing_to_do(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.control.ingesting.REST_S", 0.1)
    async with room.working():
        async with asyncio.timeout(10):
            while not room.runner.rested:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
