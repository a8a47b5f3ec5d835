"""The files in vector stores, and batches of them, through the real SDK."""

import asyncio
from typing import Any

import psycopg
import pytest
from openai import BadRequestError, NotFoundError

from api.control.jobs import Jobs
from api.db import store_files
from api.db.ingest import CHANNEL
from api.db.store_files import Given, Whose
from api.scope import Scope
from configs.postgres import EmbeddedPostgres
from tests.api.routes.test_conversations import call
from tests.api.routes.test_privacy import jobs
from tests.fixtures.application import PASSWORD, Application
from tests.fixtures.database import query
from tests.fixtures.indexed import chunk_count, index, removals, seq_of, state, uploaded
from tests.fixtures.uploads import sdk

__all__ = ["jobs"]

SECRET = "a-bittern-that-nobody-may-find"
STATIC: Any = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}}


def said(postgres: EmbeddedPostgres, connection: psycopg.Connection[Any]) -> bool:
    connection.execute("SELECT 1")
    return bool(list(connection.notifies(timeout=0.5, stop_after=1)))


async def test_a_files_life_in_a_store(knowing: Application, fresh: str) -> None:
    async with sdk(knowing, await knowing.register(fresh)) as client:
        store, file = (await client.vector_stores.create()).id, await uploaded(client)
        files = client.vector_stores.files
        with psycopg.connect(knowing.postgres.urls.app_url, autocommit=True) as listener:
            listener.execute(f"LISTEN {CHANNEL}")
            made = await files.create(store, file_id=file, attributes={"of": SECRET, "year": 2024, "new": True})
            assert said(knowing.postgres, listener)
        assert (made.id, made.object, made.vector_store_id) == (file, "vector_store.file", store)
        assert (made.status, made.last_error, made.usage_bytes) == ("in_progress", None, 0)
        assert made.attributes == {"of": SECRET, "year": 2024, "new": True}
        assert made.chunking_strategy is not None
        assert made.chunking_strategy.model_dump() == {
            "type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
        }  # fmt: skip
        assert await files.retrieve(file, vector_store_id=store) == made
        assert (await client.vector_stores.retrieve(store)).status == "in_progress"
        before = seq_of(knowing, store)
        changed = await files.update(file, vector_store_id=store, attributes={"of": "x"})
        assert changed.attributes == {"of": "x"}
        ((described, sealed),) = query(
            knowing.postgres, "SELECT described_seq, attributes FROM vector_store_files WHERE file_id = %s", file
        )
        assert described == seq_of(knowing, store) > before
        assert SECRET.encode() not in bytes(sealed)
        gone = await files.delete(file, vector_store_id=store)
        assert gone.model_dump() == {"id": file, "object": "vector_store.file.deleted", "deleted": True}
        with pytest.raises(NotFoundError):
            await files.retrieve(file, vector_store_id=store)
        assert (await client.files.retrieve(file)).id == file


async def test_what_a_file_holds_is_told_once(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        store, file = (await client.vector_stores.create()).id, await uploaded(client)
        files = client.vector_stores.files
        await files.create(store, file_id=file)
        assert (await files.content(file, vector_store_id=store)).data == []
        await index(knowing, person, client, store, file, ["The heron waits.", "It is patient."])
        page = await files.content(file, vector_store_id=store)
        assert [(part.type, part.text) for part in page.data] == [("text", "The heron waits.\nIt is patient.")]
        query(knowing.postgres, "UPDATE chunks SET id = id + 100 WHERE vector_store_id = %s", store)
        await index(knowing, person, client, store, file, ["abc", "bcd"], start=0, end=3)
        assert (await files.content(file, vector_store_id=store)).data[0].text == "abc"
        await index(knowing, person, client, store, file, ["The heron waits.", "It is patient."], gap=4)
        (told,) = (await files.content(file, vector_store_id=store)).data
        assert told.text is not None
        assert told.text[20:] == "It is patient."
        counts = await client.vector_stores.retrieve(store)
        assert (counts.status, counts.file_counts.completed, counts.usage_bytes) == ("completed", 1, 30)


async def test_adding_a_file_again(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        store, file = (await client.vector_stores.create()).id, await uploaded(client)
        files = client.vector_stores.files

        async def add(**more: Any) -> Any:
            return await files.create(store, file_id=file, **more)

        await add(attributes={"a": "b"})
        await index(knowing, person, client, store, file, ["one"])
        assert (await add()).attributes == {"a": "b"}
        assert (await add(attributes={"a": "c"})).attributes == {"a": "c"}
        assert state(knowing, store, file) == ("completed", 0, 0)
        assert (await add(chunking_strategy=STATIC)).chunking_strategy.static.max_chunk_size_tokens == 200
        assert state(knowing, store, file) == ("in_progress", 1, 0)
        assert chunk_count(knowing, store) == 1  # they are found until others come
        for status in ("failed", "cancelled"):
            query(
                knowing.postgres,
                "UPDATE vector_store_files SET status = %s, attempts = 3, error_code = 'invalid_file',"
                " error_message = 'no text' WHERE file_id = %s",
                status, file,
            )  # fmt: skip
            told = await files.retrieve(file, vector_store_id=store)
            assert told.last_error is not None
            assert (told.last_error.code, told.last_error.message) == ("invalid_file", "no text")
            with psycopg.connect(knowing.postgres.urls.app_url, autocommit=True) as listener:
                listener.execute(f"LISTEN {CHANNEL}")
                told = await add(chunking_strategy=STATIC)
                assert said(knowing.postgres, listener)
            assert (told.status, told.last_error) == ("in_progress", None)
        assert state(knowing, store, file) == ("in_progress", 3, 0)


async def test_pages_and_filters(knowing: Application, fresh: str) -> None:
    async with sdk(knowing, await knowing.register(fresh)) as client:
        files = [await uploaded(client, f"{number}.txt") for number in range(4)]
        store = (await client.vector_stores.create()).id
        for file in files:
            await client.vector_stores.files.create(store, file_id=file)
        query(knowing.postgres, "UPDATE vector_store_files SET status = 'failed' WHERE file_id = %s", files[1])
        listed = client.vector_stores.files.list
        assert [each.id async for each in listed(store, limit=3)] == files[::-1]
        assert [each.id async for each in listed(store, limit=3, order="asc")] == files
        assert [each.id async for each in listed(store, filter="failed")] == [files[1]]
        page = await listed(store, limit=1, before=files[2], order="asc")
        assert ([each.id for each in page.data], page.has_more) == ([files[1]], True)


async def test_a_batch(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        files = [await uploaded(client, f"{number}.txt") for number in range(4)]
        store = (await client.vector_stores.create(file_ids=files[:1])).id
        await index(knowing, person, client, store, files[0], ["one"])
        batches = client.vector_stores.file_batches
        made = await batches.create(store, file_ids=files[:3], attributes={"a": 1}, chunking_strategy={"type": "auto"})
        assert (made.object, made.status, made.vector_store_id) == ("vector_store.files_batch", "in_progress", store)
        counts = made.file_counts
        assert (counts.total, counts.in_progress, counts.completed) == (3, 2, 1)
        assert await batches.retrieve(made.id, vector_store_id=store) == made
        listed = [each async for each in batches.list_files(made.id, vector_store_id=store, order="asc")]
        assert {each.id for each in listed} == set(files[:3])
        assert [each.attributes for each in listed] == [{"a": 1}] * 3
        done = batches.list_files(made.id, vector_store_id=store, filter="completed")
        assert [each.id async for each in done] == files[:1]
        cancelled = await batches.cancel(made.id, vector_store_id=store)
        assert (cancelled.status, cancelled.file_counts.cancelled) == ("cancelled", 2)
        assert state(knowing, store, files[1]) == ("cancelled", 0, 0)
        own = await batches.create(
            store,
            files=[{"file_id": files[1], "attributes": {"b": "c"}}, {"file_id": files[3], "chunking_strategy": STATIC}],
        )
        assert own.file_counts.in_progress == 2
        told = await client.vector_stores.files.retrieve(files[3], vector_store_id=store)
        assert told.chunking_strategy.static.max_chunk_size_tokens == 200  # type: ignore[union-attr]
        assert (await client.vector_stores.files.retrieve(files[1], vector_store_id=store)).attributes == {"b": "c"}
        for lost in (batches.retrieve(made.id, vector_store_id="vs_x"), batches.retrieve("x", vector_store_id=store)):
            with pytest.raises(NotFoundError):
                await lost


async def test_two_who_add_a_file_at_once_are_both_heard(knowing: Application, fresh: str) -> None:
    async with sdk(knowing, await knowing.register(fresh)) as client:
        store = (await client.vector_stores.create()).id
        for number in range(5):
            file = await uploaded(client, f"{number}.txt", b"%d" % number)
            _, batch = await asyncio.gather(
                client.vector_stores.files.create(store, file_id=file),
                client.vector_stores.file_batches.create(store, file_ids=[file]),
            )
            told = await client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store)
            assert told.file_counts.total == 1
            assert (await client.vector_stores.retrieve(store)).file_counts.total == number + 1


async def test_a_batch_is_whole_or_nothing(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        store, file = (await client.vector_stores.create()).id, await uploaded(client)
        with pytest.raises(NotFoundError, match="file-none"):
            await client.vector_stores.file_batches.create(store, file_ids=[file, "file-none"])
        assert (await client.vector_stores.retrieve(store)).file_counts.total == 0
        both: dict[str, Any] = {"file_ids": [file], "files": [{"file_id": file}]}
        bodies: list[dict[str, Any]] = [{}, both, {"file_ids": []}]
        for body in bodies:
            answer = await call(person, "POST", f"/v1/vector_stores/{store}/file_batches", body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file_ids")


async def test_2000_files_at_once(knowing: Application, postgres: EmbeddedPostgres, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        await uploaded(client)
        query(
            postgres,
            "INSERT INTO files (id, organization_id, user_id, data_key_id, name, purpose, size, digest, blob)"
            " SELECT %s || n, organization_id, user_id, data_key_id, name, purpose, size, digest, blob"
            " FROM files, generate_series(1, 2000) n WHERE user_id = %s",
            f"file-{fresh}-", person.id,
        )  # fmt: skip
        store = (await client.vector_stores.create()).id
        made = await client.vector_stores.file_batches.create(
            store, file_ids=[f"file-{fresh}-{number}" for number in range(1, 2001)]
        )
        assert made.file_counts.in_progress == 2000
        with pytest.raises(BadRequestError):
            await client.vector_stores.file_batches.create(store, file_ids=["x"] * 2001)


@pytest.mark.parametrize(
    "attributes",
    [{"a": None}, {"a": []}, {"": "x"}, {"a" * 65: "x"}, {"a": "x" * 513}, {str(n): n for n in range(17)}],
)
async def test_attributes_that_are_none(knowing: Application, fresh: str, attributes: dict[str, Any]) -> None:
    person = await knowing.register(fresh)
    path = "/v1/vector_stores/vs_none/files"
    for where, body in ((path, {"file_id": "x"}), (f"{path}/x", {})):
        answer = await call(person, "POST", where, {**body, "attributes": attributes})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "attributes")


async def test_what_is_wrong_with_one_of_several_files_is_told_by_its_place(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    sizes = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51}
    wrong: dict[str, dict[str, Any]] = {
        "files[1].attributes": {"attributes": {"a": None}},
        "files[1].chunking_strategy.static": {"chunking_strategy": {"type": "static"}},
        "files[1].chunking_strategy.static.chunk_overlap_tokens": {
            "chunking_strategy": {"type": "static", "static": sizes}
        },
    }
    for param, field in wrong.items():
        body = {"files": [{"file_id": "x"}, {"file_id": "y", **field}]}
        answer = await call(person, "POST", "/v1/vector_stores/vs_none/file_batches", body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_whatever_path_removes_chunks_is_told_to_who_follows(
    knowing: Application, jobs: Jobs, fresh: str
) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        files = [await uploaded(client, f"{number}.txt", str(number).encode()) for number in range(4)]
        store = (await client.vector_stores.create(file_ids=files)).id
        for file in files:
            await index(knowing, person, client, store, file, ["one", "two"])
        seq = seq_of(knowing, store)
        await client.vector_stores.files.delete(files[0], vector_store_id=store)
        assert removals(knowing, store) == [[0, 1]]
        assert seq_of(knowing, store) > seq
        seq = seq_of(knowing, store)
        await client.files.delete(files[1])
        assert removals(knowing, store) == [[0, 1], [2, 3]]
        assert seq_of(knowing, store) > seq
        seq = seq_of(knowing, store)
        query(knowing.postgres, "UPDATE files SET expires_at = now() - interval '1 hour' WHERE id = %s", files[2])
        await jobs.run()
        assert removals(knowing, store)[2:] == [[4, 5]]
        assert seq_of(knowing, store) > seq
        assert chunk_count(knowing, store) == 2
    answer = await call(person, "POST", "/api/auth/erase", {"password": PASSWORD})
    assert answer.status_code == 202
    await jobs.run()
    assert chunk_count(knowing, store) == 0
    for table in ("vector_stores", "vector_store_files", "vector_store_changes"):
        column = "id" if table == "vector_stores" else "vector_store_id"
        assert query(knowing.postgres, f"SELECT 1 FROM {table} WHERE {column} = %s", store) == []


async def test_a_file_that_goes_while_it_is_added_is_not_kept(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        store = (await client.vector_stores.create()).id
        whose, given = Whose(store, "default", person.id), [Given("file-none", b"x", 800, 400)]
        async with knowing.services.database.unit(Scope("default", person.id)) as unit:
            assert not await store_files.add(unit, whose, given)
            await unit.rollback()
        assert (await client.vector_stores.retrieve(store)).file_counts.total == 0
