"""One sentence tells a model from another of its name, and not from itself elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.embedding.probe import SENTENCE, is_same, kept, probe
from models.embedding.protocol import EmbeddingRequest, InputType
from models.embedding.sentence_transformers import create
from models.embedding.service import EmbeddingService
from tests.fixtures.encoders import MINILM, embedder, save_retrained_minilm, spec


async def test_it_is_what_a_client_is_given() -> None:
    service = EmbeddingService(embedder())
    asked = EmbeddingRequest(["another", SENTENCE], input_type=InputType.DOCUMENT)
    (_, found) = (await service.embed(asked)).vectors
    service.close()
    assert is_same(kept(probe(embedder())), found)


@pytest.mark.parametrize("engine", [{"dtype": "bfloat16"}, {"normalize": False}])
def test_a_model_that_is_loaded_otherwise_is_itself(engine: dict[str, Any]) -> None:
    assert is_same(kept(probe(embedder())), probe(create(spec(MINILM, **engine))))


def test_a_model_with_other_weights_or_words_before_a_text_is_another(tmp_path: Path) -> None:
    known = kept(probe(embedder()))
    retrained = create(spec(save_retrained_minilm(tmp_path)))
    assert retrained.dimensions == embedder().dimensions
    assert not is_same(known, probe(retrained))
    assert not is_same(known, probe(create(spec(MINILM, document_prefix="passage: "))))
    assert is_same(known, probe(create(spec(MINILM, query_prefix="query: "))))


def test_what_has_no_cosine_or_another_length_is_another() -> None:
    one = np.ones(4, np.float32)
    assert is_same(kept(one), one * 3)
    assert is_same(None, one)
    assert not is_same(kept(one), np.zeros(4, np.float32))
    assert not is_same(kept(one), np.ones(5, np.float32))
    assert not is_same(kept(one), one * np.nan)
