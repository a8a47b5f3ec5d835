"""The reranker that ships, behind the same contract as the library's."""

import json
from pathlib import Path

import numpy as np
import pytest

from configs.errors import ConfigurationError
from models import sources
from models.rerank.joint import MAX_TOKENS, WINDOW, JointReranker, create
from models.rerank.protocol import Reranker
from tests.fixtures.encoders import spec

FOLDER = sources.folder("reranker", "transformers")
MOST_BYTES = 4 * 2**20
QUESTION = "How do I stop a test that hangs?"
ANSWER = "Each test gets a timeout: when it takes longer, the plugin interrupts it and tells where it was stuck."
OTHERS = [
    "The court decided that the tax was to be paid in spring.",
    "Rays glide over the sea bed and feed on plankton.",
    "How do I bake bread that does not fall apart?",
]
FILLER = "Wool is spun into yarn and dyed before it is woven into cloth. " * 12


@pytest.fixture(scope="module")
def reranker() -> Reranker:
    return create(spec("reranker", "joint"))


def test_it_is_small_and_carries_no_pickle() -> None:
    files = [file for file in FOLDER.iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    assert {file.suffix for file in files} == {".json", ".md", ".safetensors"}
    card = (FOLDER / "README.md").read_text("utf-8")
    for words in ("license: apache-2.0", "Held out", "## What it is not"):
        assert words in card


def test_what_answers_is_above_what_does_not(reranker: Reranker) -> None:
    scores = reranker.score([(QUESTION, text) for text in (ANSWER, *OTHERS)])
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores.argmax() == 0


def test_a_score_does_not_depend_on_its_batch(reranker: Reranker) -> None:
    pairs = [(QUESTION, ANSWER), ("what do rays eat", OTHERS[1]), (QUESTION, FILLER + ANSWER), ("a", "b")]
    together = reranker.score(pairs)
    alone = np.concatenate([reranker.score([pair]) for pair in pairs])
    assert np.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("place", range(4))
def test_an_answer_is_found_wherever_it_stands_in_a_long_passage(reranker: Reranker, place: int) -> None:
    parts = [FILLER] * 4
    parts.insert(place, ANSWER)
    text = " ".join(parts)
    assert 3 * WINDOW < reranker.count([text])[0] < MAX_TOKENS
    with_answer, without = reranker.score([(QUESTION, text), (QUESTION, FILLER * 4)])
    assert with_answer > without
    assert with_answer > 0.5 * reranker.score([(QUESTION, ANSWER)])[0]


def test_empty_documents_and_marks_of_the_tokenizer_are_text(reranker: Reranker) -> None:
    assert reranker.count(["", "[SEP]"]) == [0, 3]
    assert np.isfinite(reranker.score([(QUESTION, ""), (QUESTION, "[SEP] [CLS]"), ("", ANSWER)])).all()


def test_a_longest_query_and_a_longest_document_fit(reranker: Reranker) -> None:
    query = "sea " * ((reranker.max_tokens - reranker.special_tokens) // 2)
    assert np.isfinite(reranker.score([(query, "ray " * 3000)])).all()


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), "utf-8")
    with pytest.raises(ConfigurationError, match="joint_base"):
        create(spec(tmp_path, "joint"))
    (tmp_path / "config.json").unlink()
    with pytest.raises(ConfigurationError, match="joint_base"):
        create(spec(tmp_path, "joint"))


def test_it_is_the_class_that_is_served(reranker: Reranker) -> None:
    assert isinstance(reranker, JointReranker)
    assert reranker.model_name == "m"
    assert reranker.batch_tokens >= reranker.max_tokens
