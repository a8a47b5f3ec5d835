"""`/v1/vector_stores/{id}/search` through the real SDK: real vectors, a real index that follows the rows."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from openai import AsyncOpenAI, BadRequestError, InternalServerError, NotFoundError

from configs.errors import EngineDied
from configs.specs import ModelSpec
from models.wire import Call, Usage
from serving.link.server import StreamReply
from tests.api.routes.test_conversations import call
from tests.fixtures.application import Application, Person
from tests.fixtures.database import query
from tests.fixtures.encoders import save_tiny_reranker
from tests.fixtures.indexed import MODEL, followed, index, uploaded
from tests.fixtures.placed import answering, placed
from tests.fixtures.uploads import sdk

TEXTS = {
    "birds.txt": ["The heron waits in the shallow water for fish.", "An owl hunts mice in the dark of the night."],
    "money.txt": ["Invoices are paid within thirty days.", "The part number of the pump is KX-4711."],
}
NO_RANKER: Any = {"ranker": "none"}


@pytest.fixture(scope="module")
async def finding(knowing: Application, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Application]:
    async with followed(knowing, tmp_path_factory.mktemp("search")):
        yield knowing


async def filled(app: Application, person: Person, client: AsyncOpenAI) -> tuple[str, dict[str, str]]:
    """A store with two files, and their ids by name."""
    store, ids = (await client.vector_stores.create()).id, {}
    for name, texts in TEXTS.items():
        ids[name] = await uploaded(client, name, name.encode())
        attributes: Any = {"kind": name.removesuffix(".txt"), "pages": len(texts)}
        await client.vector_stores.files.create(store, file_id=ids[name], attributes=attributes)
        await index(app, person, client, store, ids[name], texts)
    return store, ids


async def names(client: AsyncOpenAI, store: str, text: Any, **more: Any) -> list[str]:
    return [each.filename async for each in client.vector_stores.search(store, query=text, **more)]


async def test_what_is_meant_is_found_and_described(finding: Application, fresh: str) -> None:
    person = await finding.register(fresh)
    async with sdk(finding, person) as client:
        store, ids = await filled(finding, person, client)
        page = await client.vector_stores.search(store, query="Which animal catches rodents?", max_num_results=2)
        assert page.object == "vector_store.search_results.page"
        best = page.data[0].model_dump()
        assert best.pop("score") > 0.3
        assert best == {
            "file_id": ids["birds.txt"], "filename": "birds.txt", "attributes": {"kind": "birds", "pages": 2},
            "content": [{"type": "text", "text": TEXTS["birds.txt"][1]}], "chunk_id": 1, "page": 1,
            "headings": ["Birds"], "start": 47, "end": 90,
        }  # fmt: skip
        assert len(page.data) == 2
        raw = (await call(person, "POST", f"/v1/vector_stores/{store}/search", {"query": "fish"})).json()
        assert (raw["search_query"], raw["has_more"], raw["next_page"]) == (["fish"], False, None)
        assert (await names(client, store, "KX-4711"))[0] == "money.txt"
        both = await client.vector_stores.search(store, query=["heron", "KX-4711"], max_num_results=2)
        assert {each.filename for each in both.data} == set(TEXTS)


async def test_filters_and_ranking_options(finding: Application, fresh: str) -> None:
    person = await finding.register(fresh)
    async with sdk(finding, person) as client:
        store, ids = await filled(finding, person, client)
        only: Any = {"type": "eq", "key": "kind", "value": "money"}
        assert await names(client, store, "an owl", filters=only) == ["money.txt"] * 2
        await client.vector_stores.files.update(ids["birds.txt"], vector_store_id=store, attributes={"kind": "money"})
        assert len(await names(client, store, "an owl", filters=only)) == 4
        strict: Any = {**NO_RANKER, "score_threshold": 0.99}
        assert await names(client, store, "an owl", ranking_options=strict) == []
        words: Any = {**NO_RANKER, "hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
        assert await names(client, store, "kx 4711", ranking_options=words) == ["money.txt"]
        vectors: Any = {**NO_RANKER, "hybrid_search": {"embedding_weight": 1, "text_weight": 0}, "mmr_lambda": 0.5}
        assert len(await names(client, store, "kx 4711", ranking_options=vectors)) == 4


async def test_what_was_written_is_found_and_what_is_gone_is_not(finding: Application, fresh: str) -> None:
    person = await finding.register(fresh)
    async with sdk(finding, person) as client:
        store, ids = await filled(finding, person, client)
        assert len(await names(client, store, "heron")) == 4
        new = await uploaded(client, "new.txt", b"new")
        await client.vector_stores.files.create(store, file_id=new)
        await index(finding, person, client, store, new, ["A heron is grey."])
        assert (await names(client, store, "grey heron"))[0] == "new.txt"
        await client.files.delete(new)
        assert "new.txt" not in await names(client, store, "grey heron")
        # rows that a replica has not heard of are gone all the same, and so is a file whose time is over
        query(finding.postgres, "DELETE FROM chunks WHERE vector_store_id = %s AND number = 0", store)
        assert len(await names(client, store, "heron")) == 2
        query(finding.postgres, "UPDATE files SET expires_at = now() WHERE id = %s", ids["birds.txt"])
        assert await names(client, store, "heron") == ["money.txt"]


async def test_stores_of_others_and_stores_that_are_over(finding: Application, fresh: str) -> None:
    one, other = await finding.register(f"{fresh}a"), await finding.register(f"{fresh}b", "owner")
    async with sdk(finding, one) as mine, sdk(finding, other) as theirs:
        store, _ = await filled(finding, one, mine)
        with pytest.raises(NotFoundError):
            await theirs.vector_stores.search(store, query="heron")
        await mine.vector_stores.update(store, expires_after={"anchor": "last_active_at", "days": 1})
        query(
            finding.postgres, "UPDATE vector_stores SET last_active_at = now() - interval '2 days' WHERE id = %s", store
        )
        with pytest.raises(BadRequestError, match="expired"):
            await mine.vector_stores.search(store, query="heron")


async def test_a_search_is_activity_and_is_accounted(finding: Application, fresh: str) -> None:
    person = await finding.register(fresh)
    async with sdk(finding, person) as client:
        store, _ = await filled(finding, person, client)
        last = "SELECT last_active_at FROM vector_stores WHERE id = %s"
        before = query(finding.postgres, last, store)
        await names(client, store, "heron")
        assert query(finding.postgres, last, store) == before  # within a minute
        query(
            finding.postgres, "UPDATE vector_stores SET last_active_at = now() - interval '2 days' WHERE id = %s", store
        )
        await names(client, store, "heron")
        assert query(finding.postgres, last, store) > before
    await finding.services.outbox.flush()
    used = "SELECT model, prompt_tokens > 0 FROM usage WHERE user_id = %s AND route LIKE '%%/search'"
    assert query(finding.postgres, used, person.id) == [(MODEL, True)] * 2


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no query": ({}, "query"),
    "an empty query": ({"query": ""}, "query"),
    "a query that is a number": ({"query": 5}, "query"),
    "an empty query in a list": ({"query": ["x", ""]}, "query[1]"),
    "17 queries": ({"query": ["x"] * 17}, "query"),
    "51 results": ({"query": "x", "max_num_results": 51}, "max_num_results"),
    "a filter that is none": ({"query": "x", "filters": {"type": "like"}}, "filters"),
    "a ranker that is none": ({"query": "x", "ranking_options": {"ranker": MODEL}}, "ranking_options.ranker"),
    "a threshold above 1": (
        {"query": "x", "ranking_options": {"score_threshold": 2}},
        "ranking_options.score_threshold",
    ),
    "no weight": (
        {"query": "x", "ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}},
        "ranking_options.hybrid_search",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused(finding: Application, fresh: str, case: str) -> None:
    person = await finding.register(fresh)
    body, param = REFUSED[case]
    answer = await call(person, "POST", "/v1/vector_stores/vs_none/search", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text


async def test_a_reranker_orders(finding: Application, fresh: str, tmp_path: Path) -> None:
    person = await finding.register(fresh)
    folder = await asyncio.to_thread(save_tiny_reranker, tmp_path)
    judge = {"model_name": "judge", "kind": "rerank", "params": {"model": f"sentence_transformers/{folder}"}}
    async with sdk(finding, person) as client, placed(finding.services, judge) as desks:
        store, _ = await filled(finding, person, client)
        for ranker in ("auto", "default-2024-11-15", "judge"):
            options: Any = {"ranker": ranker}
            page = await client.vector_stores.search(store, query="an owl", ranking_options=options)
            scores = [each.score for each in page.data]
            assert scores == sorted(scores, reverse=True)
            assert all(0 <= score <= 1 for score in scores)
            assert len(scores) == 4
        assert len(desks["judge"].calls) == 3
        await names(client, store, "an owl", ranking_options=NO_RANKER)
        assert len(desks["judge"].calls) == 3
        # a query that is too long for it: whoever asked for it by name is told, the others get what was found
        long = "an owl " * 40
        assert len(await names(client, store, long)) == 4
        with pytest.raises(BadRequestError, match="half of the window"):
            await names(client, store, long, ranking_options={"ranker": "judge"})
        table = await uploaded(client, "staff.csv", b"table")
        await client.vector_stores.files.create(store, file_id=table)
        await index(finding, person, client, store, table, ["Ann | 3000"], table_head="name | pay")
        assert len(await names(client, store, "an owl")) == 5
        assert "Birds\nname | pay\nAnn | 3000" in orjson.loads(desks["judge"].calls[-1].body)["documents"]


async def test_a_model_that_is_away(finding: Application, fresh: str) -> None:
    person = await finding.register(fresh)
    async with sdk(finding, person) as client:
        store, _ = await filled(finding, person, client)
        query(finding.postgres, "UPDATE vector_stores SET embedding_model = 'gone' WHERE id = %s", store)
        with pytest.raises(InternalServerError, match="'gone'") as refused:
            await client.vector_stores.search(store, query="heron")
        assert refused.value.status_code == 503
        query(
            finding.postgres,
            "UPDATE vector_stores SET embedding_model = %s, dimensions = 7 WHERE id = %s",
            MODEL,
            store,
        )
        with pytest.raises(InternalServerError, match="384 numbers"):
            await client.vector_stores.search(store, query="heron")


CHAT = ModelSpec.model_validate({"model_name": "talker", "params": {"model": "vllm/talker"}})


@pytest.mark.parametrize(
    ("says", "asked"),
    [(' "KX-4711"\n or so', "KX-4711"), ("", "heron"), ("x" * 500, "heron"), (None, "heron")],
    ids=["a query", "nothing", "too much", "an error"],
)
async def test_a_chat_model_writes_the_query(finding: Application, fresh: str, says: str | None, asked: str) -> None:
    async def answer(given: Call, reply: StreamReply) -> None:
        body = orjson.loads(given.body)
        assert (body["max_tokens"], body["messages"][-1]["content"]) == (64, "heron")
        if says is None:
            raise EngineDied("The engine died.")
        reply.head("application/json")
        reply.data(orjson.dumps({"choices": [{"message": {"role": "assistant", "content": says}}]}))
        reply.end(Usage(prompt_tokens=9, completion_tokens=3))

    person = await finding.register(fresh)
    async with sdk(finding, person) as client, answering(finding.services, CHAT, answer):
        store, _ = await filled(finding, person, client)
        told = await call(
            person, "POST", f"/v1/vector_stores/{store}/search", {"query": "heron", "rewrite_query": True}
        )
        assert told.json()["search_query"] == [asked]
        assert len(told.json()["data"]) == 4
