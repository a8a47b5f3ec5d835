"""The backend with a tiny cross-encoder: JSON in, JSON out, scores as the library has them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from sentence_transformers import CrossEncoder

from configs.errors import BadRequest, ContextTooLong, RouteNotFound
from configs.specs import Kind
from models.rerank.backend import RerankBackend
from models.wire import Call, Usage
from tests.fixtures.encoders import save_tiny_reranker, spec

DOCUMENTS = ["a manta is a ray", "the sea " * 5, "ray", "plankton and small fish", "wings"]


class Answer:
    """A `models.wire.Reply` that keeps what is written."""

    def __init__(self) -> None:
        self.body = b""
        self.usage: Usage | None = None

    def head(self, content_type: str) -> None:
        assert content_type == "application/json"

    def data(self, chunk: bytes) -> None:
        self.body += chunk

    def end(self, usage: Usage) -> None:
        self.usage = usage

    def fail(self, error: Exception) -> None:
        raise error

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Nobody leaves here."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_reranker(tmp_path_factory.mktemp("reranker"))


@pytest.fixture(scope="module")
async def backend(folder: Path) -> AsyncIterator[RerankBackend]:
    made = RerankBackend(spec(folder, kind=Kind.RERANK))
    phases: list[str] = []
    await made.start(phases.append)
    assert phases == ["load", "warm up"]
    yield made
    await made.stop()


async def rerank(backend: RerankBackend, path: str = "/v1/rerank", **body: Any) -> tuple[Any, Usage | None]:
    answer = Answer()
    await backend.answer(Call(path, orjson.dumps({"model": "m", **body}), "r1"), answer)
    return orjson.loads(answer.body), answer.usage


async def test_scores_are_the_librarys_best_first(backend: RerankBackend, folder: Path) -> None:
    library = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    expected = library.predict([("what is a ray", each) for each in DOCUMENTS])
    body, usage = await rerank(backend, query="what is a ray", documents=DOCUMENTS)
    assert [result["index"] for result in body["results"]] == np.argsort(-expected, kind="stable").tolist()
    for result in body["results"]:
        assert result["relevance_score"] == pytest.approx(expected[result["index"]], abs=1e-5)
        assert result["document"] == {"text": DOCUMENTS[result["index"]]}
    assert usage is not None
    assert body["usage"]["total_tokens"] == usage.prompt_tokens > 5 * len(DOCUMENTS)


async def test_many_callers_share_batches(backend: RerankBackend) -> None:
    alone, _ = await rerank(backend, query="ray", documents=DOCUMENTS)
    together = await asyncio.gather(*(rerank(backend, query="ray", documents=DOCUMENTS) for _ in range(8)))
    for body, _ in together:
        assert [result["index"] for result in body["results"]] == [result["index"] for result in alone["results"]]
    assert b"manta_rerank_texts_total" in backend.metrics()
    await backend.check()


async def test_the_best_ones_without_their_texts(backend: RerankBackend) -> None:
    body, _ = await rerank(backend, query="ray", documents=[{"text": "a"}, "b"], top_n=1, return_documents=False)
    (result,) = body["results"]
    assert set(result) == {"index", "relevance_score"}


async def test_text_that_spells_a_special_token_is_text(backend: RerankBackend) -> None:
    body, usage = await rerank(backend, query="ray", documents=["[SEP]", "[PAD] [PAD]"])
    assert len(body["results"]) == 2
    reranker = backend._reranker
    assert reranker is not None
    assert reranker.count(["[SEP]"]) == [3]
    tokenizer = reranker._model.tokenizer  # type: ignore[attr-defined]  # the library's own, as `score` uses it
    assert len(tokenizer("[SEP]")["input_ids"]) == 5
    assert usage == Usage(prompt_tokens=(1 + 3 + 3) + (1 + 6 + 3))


async def test_long_documents_are_cut_and_long_queries_refused(backend: RerankBackend) -> None:
    _, usage = await rerank(backend, query="ray", documents=["sea " * 500])
    assert usage == Usage(prompt_tokens=48)
    with pytest.raises(ContextTooLong, match="more than half"):
        await rerank(backend, query="sea " * 30, documents=["ray"])


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("query", {"query": "", "documents": ["a"]}),
        ("query", {"documents": ["a"]}),
        ("documents", {"query": "a", "documents": []}),
        ("documents", {"query": "a", "documents": "a"}),
        ("documents", {"query": "a", "documents": ["a", 5]}),
        ("documents", {"query": "a", "documents": ["a"] * 2049}),
        ("top_n", {"query": "a", "documents": ["a"], "top_n": 0}),
        ("return_documents", {"query": "a", "documents": ["a"], "return_documents": "yes"}),
        ("other", {"query": "a", "documents": ["a"], "other": 1}),
    ],
)
async def test_wrong_fields_are_named(backend: RerankBackend, field: str, body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as raised:
        await rerank(backend, **body)
    assert raised.value.param == field


async def test_another_path_is_not_answered(backend: RerankBackend) -> None:
    with pytest.raises(RouteNotFound):
        await rerank(backend, "/v1/embeddings", query="a", documents=["a"])
