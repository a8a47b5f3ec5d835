"""The backend with the real MiniLM: JSON in, JSON out."""

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import orjson
import pytest

from configs.errors import BadRequest, ContextTooLong, RouteNotFound
from configs.specs import ModelSpec
from models.embedding.backend import EmbeddingBackend
from models.wire import Call, Usage

NAME = "all-MiniLM-L6-v2"


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
async def backend() -> AsyncIterator[EmbeddingBackend]:
    spec = {"model_name": NAME, "kind": "embedding", "params": {"model": f"sentence_transformers/{NAME}"}}
    made = EmbeddingBackend(ModelSpec.model_validate(spec))
    phases: list[str] = []
    await made.start(phases.append)
    assert phases == ["load", "warm up"]
    yield made
    await made.stop()


async def embed(backend: EmbeddingBackend, path: str = "/v1/embeddings", **body: Any) -> tuple[Any, Usage | None]:
    answer = Answer()
    await backend.answer(Call(path, orjson.dumps({"model": NAME, **body}), "r1"), answer)
    return orjson.loads(answer.body), answer.usage


async def test_float_and_base64_are_the_same_unit_vectors(backend: EmbeddingBackend) -> None:
    body, usage = await embed(backend, input=["a ray", "a manta ray"])
    coded, _ = await embed(backend, input=["a ray", "a manta ray"], encoding_format="base64")
    vectors = np.array([entry["embedding"] for entry in body["data"]], np.float32)
    decoded = [np.frombuffer(base64.b64decode(entry["embedding"]), "<f4") for entry in coded["data"]]
    assert vectors.shape == (2, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors, np.stack(decoded))
    assert usage == Usage(prompt_tokens=body["usage"]["prompt_tokens"])
    assert [entry["index"] for entry in body["data"]] == [0, 1]


async def test_many_texts_come_back_in_order(backend: EmbeddingBackend) -> None:
    texts = [f"text {number} " + "word " * (number % 17) for number in range(150)]
    together, _ = await embed(backend, input=texts)
    alone, _ = await embed(backend, input=texts[77])
    assert np.allclose(together["data"][77]["embedding"], alone["data"][0]["embedding"], atol=1e-4)


async def test_dimensions_are_cut_and_scaled(backend: EmbeddingBackend) -> None:
    whole, _ = await embed(backend, input="a ray")
    short, _ = await embed(backend, input="a ray", dimensions=64)
    expected = np.array(whole["data"][0]["embedding"][:64])
    assert np.allclose(short["data"][0]["embedding"], expected / np.linalg.norm(expected), atol=1e-5)


async def test_token_lists_and_truncation(backend: EmbeddingBackend) -> None:
    body, usage = await embed(backend, input=[[101, 1037, 4097, 102]])
    assert len(body["data"]) == 1
    assert usage == Usage(prompt_tokens=4)
    _, usage = await embed(backend, input="word " * 1000, truncate_prompt_tokens=-1)
    assert usage == Usage(prompt_tokens=256)


async def test_refusals(backend: EmbeddingBackend) -> None:
    with pytest.raises(ContextTooLong):
        await embed(backend, input="word " * 1000)
    with pytest.raises(BadRequest):
        await embed(backend, input="a", dimensions=385)
    with pytest.raises(RouteNotFound):
        await embed(backend, path="/v1/chat/completions", input="a")


async def test_metrics_count_and_check_passes(backend: EmbeddingBackend) -> None:
    await embed(backend, input=["one", "two"])
    await backend.check()
    lines = backend.metrics().decode().splitlines()
    texts = next(line for line in lines if line.startswith("manta_embedding_texts_total "))
    assert float(texts.split()[1]) >= 2
