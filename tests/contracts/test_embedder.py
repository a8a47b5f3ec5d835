"""What every embedding backend must do; a new file in the folder is under test the moment it exists."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from configs import plugins
from models.embedding.protocol import Embedder, InputType
from tests.fixtures.encoders import embedder

TEXTS = ["a", "Rays glide over the sea bed.", "日本語 mixed with words", "x" * 300, "one two three " * 20]


@pytest.fixture(params=plugins.available("models.embedding"))
def backend(request: pytest.FixtureRequest) -> Embedder:
    return embedder(request.param)


def test_it_says_what_it_is(backend: Embedder) -> None:
    assert backend.model_name == "m"
    assert backend.dimensions > 0
    assert backend.max_tokens > backend.special_tokens >= 0
    assert 0 < backend.padding_tokens <= backend.batch_tokens


def test_one_finite_float32_vector_per_input(backend: Embedder) -> None:
    vectors = backend.encode(backend.tokenize(TEXTS))
    assert vectors.shape == (len(TEXTS), backend.dimensions)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    if backend.normalized:
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_company_in_a_batch_does_not_change_a_vector(backend: Embedder) -> None:
    tokens = backend.tokenize(TEXTS)
    alone = np.concatenate([backend.encode([one]) for one in tokens])
    np.testing.assert_allclose(backend.encode(tokens), alone, atol=1e-5)


def test_different_texts_get_different_vectors(backend: Embedder) -> None:
    first, second = backend.encode(backend.tokenize(["a ray in the sea", "a bicycle on a road"]))
    assert float(first @ second) < 0.9 * float(first @ first)


def test_nothing_is_cut_unless_asked(backend: Embedder) -> None:
    long = "word " * (2 * backend.max_tokens)
    assert len(backend.tokenize([long])[0]) > backend.max_tokens
    cut = backend.tokenize([long, "a"], backend.special_tokens + 3)
    assert len(cut[0]) == backend.special_tokens + 3
    assert cut[1] == backend.tokenize(["a"])[0]


def test_tokens_know_where_they_stand(backend: Embedder) -> None:
    for text in TEXTS:
        found = backend.offsets(text)
        assert len(found) == len(backend.tokenize([text])[0]) - backend.special_tokens
        assert found[0][0] == 0
        assert found[-1][1] == len(text.rstrip())
        assert all(0 <= start <= end <= len(text) for start, end in found)
    assert backend.offsets("") == []


def test_the_whole_window_can_be_used(backend: Embedder) -> None:
    tokens = backend.tokenize(["word " * (2 * backend.max_tokens)], backend.max_tokens)
    assert len(tokens[0]) == backend.max_tokens
    assert np.isfinite(backend.encode(tokens)).all()


def test_token_ids_are_in_the_vocabulary(backend: Embedder) -> None:
    assert all(0 <= token < backend.vocabulary_size for tokens in backend.tokenize(TEXTS) for token in tokens)
    assert np.isfinite(backend.encode([[0], [backend.vocabulary_size - 1]])).all()


def test_every_input_type_has_a_prefix(backend: Embedder) -> None:
    assert all(isinstance(backend.prefix(kind), str) for kind in (None, *InputType))


def test_texts_are_tokenised_in_many_threads_at_once(backend: Embedder) -> None:
    expected = backend.tokenize(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(lambda _: backend.tokenize(TEXTS), range(40)))
