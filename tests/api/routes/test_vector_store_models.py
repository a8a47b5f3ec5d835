"""A model that is loaded anew under its name, with other weights of the same shape."""

import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from openai import AsyncOpenAI, InternalServerError

from api.knowledge import probing
from configs.specs import ModelSpec
from models.embedding.probe import SENTENCE
from models.wire import Call, Usage
from serving.link.server import StreamReply
from tests.api.routes.test_conversations import call as asked
from tests.fixtures.application import Application
from tests.fixtures.indexed import followed, index, uploaded
from tests.fixtures.placed import answering
from tests.fixtures.uploads import sdk

LAB = ModelSpec.model_validate({"model_name": "lab", "kind": "embedding", "params": {"model": "remote/lab"}})
BY_WORDS: Any = {"ranker": "none", "hybrid_search": {"embedding_weight": 0, "text_weight": 1}}


class Lab:
    """Somebody else's embedding model, which is trained again from time to time."""

    def __init__(self) -> None:
        self.training = 0
        self.texts: list[str] = []

    async def answer(self, call: Call, reply: StreamReply) -> None:
        texts = orjson.loads(call.body)["input"]
        self.texts += texts
        rows = [np.random.default_rng([self.training, zlib.crc32(text.encode())]).normal(size=384) for text in texts]
        data = [
            {"object": "embedding", "index": place, "embedding": b64encode(row.astype("<f4").tobytes()).decode()}
            for place, row in enumerate(rows)
        ]
        reply.head("application/json")
        reply.data(orjson.dumps({"object": "list", "data": data, "model": "lab", "usage": {}}))
        reply.end(Usage(prompt_tokens=len(texts)))


@pytest.fixture
async def lab(knowing: Application, tmp_path: Path) -> AsyncIterator[Lab]:
    made = Lab()
    async with followed(knowing, tmp_path / "search"), answering(knowing.services, LAB, made.answer):
        yield made


async def found(client: AsyncOpenAI, store: str, **more: Any) -> int:
    return len((await client.vector_stores.search(store, query="heron", **more)).data)


async def test_other_weights_under_the_same_name_search_no_store_that_the_former_embedded(
    knowing: Application, lab: Lab, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client:
        store = (await client.vector_stores.create(extra_body={"embedding_model": "lab"})).id
        file = await uploaded(client)
        await client.vector_stores.files.create(store, file_id=file)
        await index(knowing, person, client, store, file, ["The heron waits.", "An owl hunts."])
        lab.texts.clear()
        assert [await found(client, store) for _ in range(3)] == [2, 2, 2]
        assert sorted(lab.texts) == [SENTENCE, "heron", "heron", "heron"]
        monkeypatch.setattr(probing, "PROBED_S", 0.0)
        lab.training = 1
        knowing.services.stores.probes._known["lab"].until = 0.0
        with pytest.raises(InternalServerError, match="other vectors than this vector store was made with") as refused:
            await found(client, store)
        assert "'embedding_model'" in str(refused.value)
        assert await found(client, store, ranking_options=BY_WORDS) == 1
        answer = await asked(person, "POST", f"/v1/vector_stores/{store}", {"embedding_model": "lab"})
        assert answer.json()["reembedding"]["embedding_model"] == "lab"
        lab.training = 0
        assert await found(client, store) == 2
        answer = await asked(person, "POST", f"/v1/vector_stores/{store}", {"embedding_model": "lab"})
        assert answer.json()["reembedding"] is None


async def test_a_model_that_was_removed_and_added_again_is_asked_at_once(
    knowing: Application, lab: Lab, fresh: str
) -> None:
    async with sdk(knowing, await knowing.register(fresh)) as client:
        store = (await client.vector_stores.create(extra_body={"embedding_model": "lab"})).id
        assert await found(client, store) == 0
        other = Lab()
        other.training = 1
        async with answering(knowing.services, LAB, other.answer):
            with pytest.raises(InternalServerError, match="other vectors"):
                await found(client, store)
