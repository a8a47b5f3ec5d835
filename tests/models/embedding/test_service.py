import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest

from configs.errors import BadRequest, ContextTooLong, Internal, Overloaded
from models.embedding.protocol import EmbeddingRequest, InputType, Vectors
from models.embedding.service import INLINE_CHARACTERS, EmbeddingService
from tests.fixtures.encoders import embedder, library

WINDOW = 256
LONG = "word " * 400


@pytest.fixture
async def service() -> AsyncIterator[EmbeddingService]:
    made = EmbeddingService(embedder())
    yield made
    await asyncio.to_thread(made.close)


async def embed(service: EmbeddingService, inputs: Any, **options: Any) -> Vectors:
    return (await service.embed(EmbeddingRequest(inputs, **options))).vectors


async def test_64_callers_get_the_librarys_vectors(service: EmbeddingService) -> None:
    texts = [" ".join(["ray"] * (1 + 7 * n % 90)) + f" number {n}" for n in range(64)]
    answers = await asyncio.gather(*(embed(service, [text]) for text in texts))
    np.testing.assert_allclose(np.concatenate(answers), library().encode(texts), atol=1e-5)
    assert service.stats.items == 64
    assert service.stats.batches < 64


async def test_a_long_list_comes_back_in_order(service: EmbeddingService) -> None:
    texts = [f"text number {n} " + "and more " * (n % 13) for n in range(150)]
    np.testing.assert_allclose(await embed(service, texts), library().encode(texts), atol=1e-5)


async def test_usage_counts_the_special_tokens(service: EmbeddingService) -> None:
    result = await service.embed(EmbeddingRequest(["one two", "three"]))
    assert result.prompt_tokens == (2 + 2) + (1 + 2)


async def test_token_lists_go_to_the_model_as_they_are(service: EmbeddingService) -> None:
    tokens = embedder().tokenize(["one two three"])[0]
    np.testing.assert_allclose(await embed(service, [tokens]), await embed(service, ["one two three"]), atol=1e-6)
    assert (await service.embed(EmbeddingRequest([[5, 6]]))).prompt_tokens == 2


@pytest.mark.parametrize("token", [-1, 30522, 2**63, -(2**70)])
async def test_a_token_outside_the_vocabulary_is_refused(service: EmbeddingService, token: int) -> None:
    with pytest.raises(BadRequest, match="Input 1 has a token id outside 0 to 30521"):
        await embed(service, [[5], [5, token]])


async def test_a_text_beyond_the_window_is_refused_by_name(service: EmbeddingService) -> None:
    with pytest.raises(ContextTooLong, match="Input 1 has 402 tokens, more than the 256 of 'm'") as raised:
        await embed(service, ["short", LONG])
    assert raised.value.param == "input"
    with pytest.raises(ContextTooLong, match="Input 0 has 257"):
        await embed(service, [[5] * 257])
    assert service.stats.items == 0


async def test_the_window_itself_fits(service: EmbeddingService) -> None:
    result = await service.embed(EmbeddingRequest(["word " * (WINDOW - 2)]))
    assert result.prompt_tokens == WINDOW


@pytest.mark.parametrize(("cut", "kept"), [(-1, WINDOW), (WINDOW, WINDOW), (10, 10), (3, 3)])
async def test_cutting_is_done_when_asked_for(service: EmbeddingService, cut: int, kept: int) -> None:
    result = await service.embed(EmbeddingRequest([LONG], truncate_prompt_tokens=cut))
    assert result.prompt_tokens == kept
    np.testing.assert_allclose(result.vectors, await embed(service, ["word " * (kept - 2)]), atol=1e-5)
    assert (await service.embed(EmbeddingRequest([[5] * 300], truncate_prompt_tokens=cut))).prompt_tokens == kept


@pytest.mark.parametrize("cut", [0, 1, 2, 257, 10**30])
async def test_a_cut_that_leaves_nothing_or_exceeds_the_window_is_refused(service: EmbeddingService, cut: int) -> None:
    with pytest.raises(BadRequest, match=r"must be -1 .* or 3 to 256") as raised:
        await embed(service, ["a"], truncate_prompt_tokens=cut)
    assert raised.value.param == "truncate_prompt_tokens"


async def test_fewer_dimensions_are_cut_and_scaled_again(service: EmbeddingService) -> None:
    whole, part = await embed(service, ["a", "b"]), await embed(service, ["a", "b"], dimensions=100)
    assert part.shape == (2, 100)
    cut = whole[:, :100]
    np.testing.assert_allclose(part, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(await embed(service, ["a", "b"], dimensions=384), whole)


async def test_more_dimensions_than_the_model_has_are_refused(service: EmbeddingService) -> None:
    with pytest.raises(BadRequest, match="has 384") as raised:
        await embed(service, ["a"], dimensions=385)
    assert raised.value.param == "dimensions"


async def test_the_prefix_of_the_input_type_is_used(service: EmbeddingService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(embedder()._prefixes, InputType.QUERY, "question: ")  # type: ignore[attr-defined]  # its own
    asked = await embed(service, ["a"], input_type=InputType.QUERY)
    np.testing.assert_allclose(asked, await embed(service, ["question: a"]), atol=1e-6)


async def test_big_texts_are_tokenised_off_the_loop(service: EmbeddingService, monkeypatch: pytest.MonkeyPatch) -> None:
    real, threads = embedder().tokenize, []

    def watched(texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        threads.append(threading.current_thread())
        return real(texts, max_tokens)

    monkeypatch.setattr(embedder(), "tokenize", watched)
    await embed(service, ["a"])
    await embed(service, ["a " * INLINE_CHARACTERS], truncate_prompt_tokens=-1)
    assert threads[0] is threading.current_thread()
    assert threads[1] is not threading.current_thread()


async def test_a_vector_that_is_not_finite_never_leaves(
    service: EmbeddingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = embedder()._model[0].auto_model.embeddings.LayerNorm.weight  # type: ignore[attr-defined]  # torch
    before = weight.data.clone()
    weight.data[0] = float("nan")
    try:
        with pytest.raises(Internal, match="not finite"):
            await embed(service, ["a"])
    finally:
        weight.data.copy_(before)


async def test_an_overlong_queue_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, release, real = threading.Event(), threading.Event(), embedder().encode

    def held(inputs: Sequence[Sequence[int]]) -> Vectors:
        entered.set()
        assert release.wait(60)
        return real(inputs)

    monkeypatch.setattr(embedder(), "encode", held)
    small = EmbeddingService(embedder(), max_queued_tokens=10)
    first = asyncio.create_task(embed(small, ["a"]))
    await asyncio.to_thread(entered.wait, 60)
    second = asyncio.create_task(embed(small, ["b"]))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await embed(small, ["one two three four five six"])
    release.set()
    assert [len(await job) for job in (first, second)] == [1, 1]
    await asyncio.to_thread(small.close)
