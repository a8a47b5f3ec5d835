"""Batches that have files in common or are cancelled, through the real SDK."""

from typing import Any

from tests.fixtures.application import Application
from tests.fixtures.indexed import chunk_count, index, state, uploaded
from tests.fixtures.uploads import sdk

OTHERWISE: Any = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}}


async def test_a_batch_keeps_its_files_when_another_one_has_them_too(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        batches, store = client.vector_stores.file_batches, (await client.vector_stores.create()).id
        files = [await uploaded(client, f"{number}.txt") for number in range(3)]
        first = await batches.create(store, file_ids=[*files, files[0]])
        for file in files:
            await index(knowing, person, client, store, file, ["one"])
        second = await batches.create(store, file_ids=files[1:])
        for made, number in ((first, 3), (second, 2)):
            told = await batches.retrieve(made.id, vector_store_id=store)
            assert (told.status, told.file_counts.completed, told.file_counts.total) == ("completed", number, number)
            assert len([each async for each in batches.list_files(made.id, vector_store_id=store)]) == number
        assert (await batches.cancel(second.id, vector_store_id=store)).status == "completed"
        await client.files.delete(files[2])
        assert (await batches.retrieve(first.id, vector_store_id=store)).file_counts.total == 2


async def test_a_batch_that_is_cancelled_takes_nothing_from_another(knowing: Application, fresh: str) -> None:
    async with sdk(knowing, await knowing.register(fresh)) as client:
        batches, store = client.vector_stores.file_batches, (await client.vector_stores.create()).id
        files = [await uploaded(client, f"{number}.txt") for number in range(4)]
        one, two, three, alone = files
        await client.vector_stores.files.create(store, file_id=alone)
        first = await batches.create(store, file_ids=[one, two])
        second = await batches.create(store, file_ids=[two, three, alone])
        cancelled = await batches.cancel(second.id, vector_store_id=store)
        assert cancelled.status == "cancelled"
        assert [state(knowing, store, file)[0] for file in files] == [
            "in_progress", "in_progress", "cancelled", "in_progress",
        ]  # fmt: skip
        assert (await batches.retrieve(first.id, vector_store_id=store)).file_counts.in_progress == 2
        third = await batches.create(store, file_ids=[two, three])
        assert (await batches.cancel(first.id, vector_store_id=store)).status == "cancelled"
        assert [state(knowing, store, file)[0] for file in files[:3]] == ["cancelled", "in_progress", "in_progress"]
        assert (await batches.cancel(third.id, vector_store_id=store)).file_counts.cancelled == 2
        assert state(knowing, store, two)[0] == "cancelled"


async def test_who_has_a_file_indexed_anew_may_cancel_that(knowing: Application, fresh: str) -> None:
    async with sdk(knowing, await knowing.register(fresh)) as client:
        batches, store = client.vector_stores.file_batches, (await client.vector_stores.create()).id
        file = await uploaded(client)
        first = await batches.create(store, file_ids=[file])
        second = await batches.create(store, file_ids=[file], chunking_strategy=OTHERWISE)
        assert (await batches.cancel(first.id, vector_store_id=store)).status == "cancelled"
        assert state(knowing, store, file)[0] == "in_progress"
        assert (await batches.cancel(second.id, vector_store_id=store)).file_counts.cancelled == 1


async def test_cancelling_leaves_what_was_indexed_before(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        file = await uploaded(client)
        store = (await client.vector_stores.create(file_ids=[file])).id
        await index(knowing, person, client, store, file, ["one"])
        batches = client.vector_stores.file_batches
        again = await batches.create(store, file_ids=[file], chunking_strategy=OTHERWISE)
        assert (await batches.cancel(again.id, vector_store_id=store)).status == "cancelled"
        assert state(knowing, store, file)[0] == "completed"
        assert chunk_count(knowing, store) == 1
        done = await batches.create(store, file_ids=[file], attributes={"a": 1})
        assert (await batches.cancel(done.id, vector_store_id=store)).status == "completed"
