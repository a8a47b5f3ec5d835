from pathlib import Path

import numpy as np

from configs import plugins
from models.embedding.bulk import encode_all
from tests.fixtures.encoders import embedder, save_tiny_embedder, spec


def test_the_order_stays_and_the_vectors_are_those_of_single_calls() -> None:
    model = embedder()
    inputs = model.tokenize(["word " * count for count in (3, 200, 1, 50, 7, 120, 2, 2, 90)])
    alone = np.concatenate([model.encode([each]) for each in inputs])
    np.testing.assert_allclose(encode_all(model, inputs), alone, atol=1e-5)
    assert encode_all(model, []).shape == (0, model.dimensions)


def test_vectors_have_length_one_whatever_the_model_gives(tmp_path: Path) -> None:
    model = plugins.load("models.embedding", "sentence_transformers")(
        spec(save_tiny_embedder(tmp_path), normalize=False)
    )
    assert not model.normalized
    lengths = np.linalg.norm(encode_all(model, [*model.tokenize(["a", "some words"]), []]), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0], atol=1e-6)
