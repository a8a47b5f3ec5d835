"""The recipe on a handful of texts: hard wrong answers, a loss that falls, and weights that the backend reads alike."""

from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.reranker import training
from finetune.reranker.__main__ import base_folder, load_base, save
from finetune.reranker.dataset import Dataset, hard_negatives, read
from finetune.reranker.network import Base, Interaction
from finetune.reranker.questions import Asked
from models.rerank.joint import create
from tests.fixtures.encoders import spec

TOPICS = ("sea", "tax", "rust", "bread", "moon", "train", "wool", "glass", "salt", "paper")
ASKED = [
    Asked(f"what is {topic} number {kind}", f"The {topic} of kind {kind} is found near {TOPICS[kind]} things.", place)
    for place, (topic, kind) in enumerate((topic, kind) for topic in TOPICS for kind in range(6))
]


@pytest.fixture(scope="module")
def base() -> Base:
    return load_base(base_folder())[0]


@pytest.fixture(scope="module")
def data(base: Base) -> Dataset:
    tokenizer = load_base(base_folder())[1]
    said: list[str] = []
    sides = ([each.question for each in ASKED], 16), ([each.answer for each in ASKED], 24)
    return Dataset(ASKED, *(read(base, tokenizer, texts, tokens, said.append) for texts, tokens in sides))


def test_texts_are_read_as_the_base_reads_them(base: Base, data: Dataset) -> None:
    tokenizer = load_base(base_folder())[1]
    ids = torch.tensor([tokenizer.encode(ASKED[7].answer).ids])
    states = base.bert(input_ids=ids).last_hidden_state
    side = data.answers.side(base, np.array([7, 3]))
    assert torch.allclose(side.states[0, : ids.shape[1]], states[0], atol=5e-3)
    assert int(side.mask[0].sum()) == ids.shape[1]


def test_wrong_answers_are_near_and_never_the_right_one(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.reranker.dataset.HARD", 5)
    monkeypatch.setattr("finetune.reranker.dataset.SAME_TEXT", 2.0)
    wrong = hard_negatives(ASKED, data.questions.vectors(), data.answers.vectors())
    assert wrong.shape == (len(ASKED), 10)
    assert not any(place in row for place, row in enumerate(wrong))
    topics = [[ASKED[place].answer.split()[1] for place in row] for row in wrong]
    same = np.mean([ASKED[place].answer.split()[1] in row for place, row in enumerate(topics)])
    assert same > 0.9


def test_it_starts_as_a_copy_of_the_last_layer(base: Base, data: Dataset) -> None:
    layer = Interaction(base.bert.config)
    layer.start_from(base.bert)
    with torch.no_grad():
        layer.sides.zero_()
        side = data.answers.side(base, np.arange(4))
        whole = base.bert.encoder.layer[-1](side.inner, attention_mask=side.mask[:, None, None].bool())
        joint = layer._joint(side, side)
    states = whole[0] if isinstance(whole, tuple) else whole
    real = side.mask.bool()
    assert torch.allclose(joint[:, : side.mask.shape[1]][real], states[real], atol=1e-4)


def test_a_few_steps_teach_it_and_the_backend_scores_alike(
    base: Base, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "REPORT_EVERY", 6)
    torch.manual_seed(1)
    layer = Interaction(base.bert.config)
    layer.start_from(base.bert)
    losses = [each.loss for each in training.train(base, layer, data, 12, 1)]
    assert len(losses) == 2
    assert losses[-1] < losses[0]
    ours, theirs = training.reciprocal_rank(base, layer, data)
    assert ours >= theirs > 0
    save(layer.half().float(), tmp_path, "card")
    backend = create(spec(tmp_path))
    rows = np.array([3, 3, 9])
    with torch.inference_mode():
        wanted = layer.eval()(data.questions.side(base, rows), data.answers.side(base, np.array([3, 4, 9]))).sigmoid()
    scores = backend.score(
        [(ASKED[row].question, ASKED[place].answer) for row, place in zip(rows, (3, 4, 9), strict=True)]
    )
    assert np.allclose(scores, wanted.numpy(), atol=5e-3)


def test_half_of_the_start_stays(base: Base) -> None:
    start, layer = Interaction(base.bert.config), Interaction(base.bert.config)
    for each in (start, layer):
        each.start_from(base.bert)
    with torch.no_grad():
        layer.shares.add_(1.0)
    training.mixed(layer, start)
    assert torch.allclose(layer.shares, start.shares + (1 - training.KEPT))


def test_the_rate_rises_and_falls() -> None:
    assert training.rate(0) == 0
    assert training.rate(1) == pytest.approx(training.LOWEST_RATE)
    assert training.rate(0.05) > 0.9
