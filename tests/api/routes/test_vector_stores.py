"""`/v1/vector_stores` through the real SDK, on a real database and a real embedding model."""

from typing import Any

import pytest
from openai import BadRequestError, InternalServerError, NotFoundError

from api.idempotency import REPLAYED
from api.knowledge.tidying import tidy
from configs.errors import Unavailable
from tests.api.routes.test_conversations import call
from tests.fixtures.application import Application
from tests.fixtures.database import query
from tests.fixtures.indexed import MODEL, chunk_count, index, jobs_of, uploaded
from tests.fixtures.uploads import sdk

SECRET = "an-osprey-that-nobody-may-find"


async def test_a_stores_life(knowing: Application, fresh: str) -> None:
    async with sdk(knowing, await knowing.register(fresh)) as client:
        made = await client.vector_stores.create(
            name=SECRET, metadata={"a": SECRET}, expires_after={"anchor": "last_active_at", "days": 7}
        )
        assert (made.object, made.name, made.metadata, made.status) == (
            "vector_store",
            SECRET,
            {"a": SECRET},
            "completed",
        )
        assert made.expires_at is not None
        assert made.last_active_at is not None
        assert made.expires_at == made.last_active_at + 7 * 86400
        assert (made.file_counts.total, made.usage_bytes) == (0, 0)
        assert await client.vector_stores.retrieve(made.id) == made
        changed = await client.vector_stores.update(made.id, name="other", expires_after=None)
        assert (changed.name, changed.metadata, changed.expires_after) == ("other", {"a": SECRET}, None)
        assert (await client.vector_stores.delete(made.id)).model_dump() == {
            "id": made.id, "object": "vector_store.deleted", "deleted": True,
        }  # fmt: skip
        for gone in (client.vector_stores.retrieve(made.id), client.vector_stores.delete(made.id)):
            with pytest.raises(NotFoundError):
                await gone


async def test_names_are_sealed(knowing: Application, fresh: str) -> None:
    async with sdk(knowing, await knowing.register(fresh)) as client:
        made = await client.vector_stores.create(name=SECRET, description=SECRET)
    ((about, model, dimensions),) = query(
        knowing.postgres, "SELECT about, embedding_model, dimensions FROM vector_stores WHERE id = %s", made.id
    )
    assert SECRET.encode() not in bytes(about)
    assert (model, dimensions) == (MODEL, 384)


async def test_pages_both_ways(knowing: Application, fresh: str) -> None:
    async with sdk(knowing, await knowing.register(fresh)) as client:
        ids = [(await client.vector_stores.create(name=str(number))).id for number in range(5)]
        assert [store.id async for store in client.vector_stores.list(limit=2)] == ids[::-1]
        assert [store.id async for store in client.vector_stores.list(limit=2, order="asc")] == ids
        page = await client.vector_stores.list(limit=2, order="asc", before=ids[4])
        assert ([store.id for store in page.data], page.has_more) == (ids[2:4], True)
        page = await client.vector_stores.list(limit=2, before=ids[3])
        assert ([store.id for store in page.data], page.has_more) == ([ids[4]], False)
        page = await client.vector_stores.list(after=ids[0], before=ids[3], order="asc")
        assert [store.id for store in page.data] == ids[1:3]
        for param in ("after", "before"):
            with pytest.raises(BadRequestError) as told:
                await client.vector_stores.list(extra_query={param: "vs_none"})
            assert told.value.param == param
        async for store in client.vector_stores.list(limit=2):
            await client.vector_stores.delete(store.id)
        assert [store async for store in client.vector_stores.list()] == []


async def test_nobody_sees_the_stores_of_another(knowing: Application, fresh: str) -> None:
    one, other = await knowing.register(f"{fresh}a"), await knowing.register(f"{fresh}b", "owner")
    async with sdk(knowing, one) as mine, sdk(knowing, other) as theirs:
        made = await mine.vector_stores.create(name="mine")
        for asked in (
            theirs.vector_stores.retrieve(made.id),
            theirs.vector_stores.update(made.id, name="theirs"),
            theirs.vector_stores.delete(made.id),
            theirs.vector_stores.files.list(made.id),
        ):
            with pytest.raises(NotFoundError):
                await asked
        assert [store async for store in theirs.vector_stores.list()] == []
        foreign = await uploaded(theirs)
        with pytest.raises(NotFoundError):
            await mine.vector_stores.create(file_ids=[foreign])
        with pytest.raises(NotFoundError):
            await mine.vector_stores.files.create(made.id, file_id=foreign)


async def test_a_store_that_is_made_twice_is_one(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    person.headers["idempotency-key"] = "k-1"
    first, again = [await call(person, "POST", "/v1/vector_stores", {"name": "n"}) for _ in range(2)]
    assert (first.status_code, again.json(), again.headers[REPLAYED]) == (200, first.json(), "true")
    path = f"/v1/vector_stores/{first.json()['id']}"
    async with sdk(knowing, person) as client:
        file = await uploaded(client)
    for below, body in (("files", {"file_id": file}), ("file_batches", {"file_ids": [file]})):
        first, again = [await call(person, "POST", f"{path}/{below}", body) for _ in range(2)]
        assert (first.status_code, again.json(), again.headers[REPLAYED]) == (200, first.json(), "true")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a model that is not there": ({"embedding_model": "x"}, "embedding_model"),
    "17 pairs": ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    "a number": ({"metadata": {"a": 1}}, "metadata.a"),
    "a long text": ({"metadata": {"a": "x" * 513}}, "metadata.a"),
    "no days": ({"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days"),
    "another anchor": ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
    "too small": (
        {"chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0}}},
        "chunking_strategy.static.max_chunk_size_tokens",
    ),
    "too much of it again": (
        {"chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51}}},
        "chunking_strategy.static.chunk_overlap_tokens",
    ),
    "no sizes": ({"chunking_strategy": {"type": "static"}}, "chunking_strategy.static"),
    "too many files": ({"file_ids": ["x"] * 501}, "file_ids"),
    "an unknown field": ({"x": 1}, "x"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused(knowing: Application, fresh: str, case: str) -> None:
    person = await knowing.register(fresh)
    body, param = REFUSED[case]
    answer = await call(person, "POST", "/v1/vector_stores", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text


async def test_a_key_may_be_kept_from_the_model(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    made = await call(person, "POST", "/api/keys", {"name": "k", "models": ["another"]})
    person.headers["authorization"] = f"Bearer {made.json()['key']}"
    assert (await call(person, "POST", "/v1/vector_stores", {})).status_code == 403


async def test_without_an_embedding_model_there_is_no_store(app: Application, fresh: str) -> None:
    async with sdk(app, await app.register(fresh)) as client:
        with pytest.raises(InternalServerError, match="models add") as refused:
            await client.vector_stores.create(name="x")
        assert refused.value.status_code == 503


async def test_what_a_store_costs_is_accounted(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        await client.vector_stores.create(name="x")
    await knowing.services.outbox.flush()
    rows = query(knowing.postgres, "SELECT model, route, prompt_tokens FROM usage WHERE user_id = %s", person.id)
    assert [(model, route) for model, route, _ in rows] == [(MODEL, "/v1/vector_stores")]
    assert rows[0][2] > 0


async def test_a_store_whose_time_is_over(knowing: Application, fresh: str) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        file = await uploaded(client)
        made = await client.vector_stores.create(file_ids=[file], expires_after={"anchor": "last_active_at", "days": 1})
        kept = await client.vector_stores.create(file_ids=[file])
        await index(knowing, person, client, made.id, file, ["one", "two"])
        query(
            knowing.postgres,
            "UPDATE vector_stores SET last_active_at = now() - interval '25 hours' WHERE id IN (%s, %s)",
            made.id, kept.id,
        )  # fmt: skip
        assert (await client.vector_stores.retrieve(made.id)).status == "expired"
        for refused in (
            client.vector_stores.update(made.id, name="x"),
            client.vector_stores.files.create(made.id, file_id=file),
        ):
            with pytest.raises(BadRequestError, match="expired"):
                await refused
        jobs = jobs_of(knowing)
        assert (await tidy(jobs))[0] >= 1
        await jobs.close()
        with pytest.raises(NotFoundError):
            await client.vector_stores.retrieve(made.id)
        assert chunk_count(knowing, made.id) == 0
        assert (await client.vector_stores.retrieve(kept.id)).file_counts.total == 1
        assert (await client.files.retrieve(file)).id == file


async def test_a_large_store_goes_in_steps(knowing: Application, fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.knowledge.stores.REMOVED_AT_ONCE", 2)
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        files = [await uploaded(client, f"{number}.txt") for number in range(5)]
        made = await client.vector_stores.create(file_ids=files)
        await index(knowing, person, client, made.id, files[0], ["one", "two", "three"])
        await client.vector_stores.delete(made.id)
        assert chunk_count(knowing, made.id) == 0
        assert len([file async for file in client.files.list()]) == 5


async def test_a_removal_that_breaks_off_is_finished(
    knowing: Application, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> int:
        raise Unavailable("gone")

    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        made = await client.vector_stores.create(file_ids=[await uploaded(client)])
        with monkeypatch.context() as patch:
            patch.setattr("api.db.vector_stores.remove_files", broken)
            with pytest.raises(InternalServerError):
                await client.vector_stores.delete(made.id)
        assert (await client.vector_stores.retrieve(made.id)).status == "expired"
        jobs = jobs_of(knowing)
        assert (await tidy(jobs))[0] >= 1
        await jobs.close()
        with pytest.raises(NotFoundError):
            await client.vector_stores.retrieve(made.id)
