"""The recipe of `starter`: its text, its rows, a few steps of training."""

import json
import math
from itertools import islice
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from finetune.starter import training
from finetune.starter.__main__ import make_tokenizer
from finetune.starter.conversations import Conversation, conversations, known, read
from finetune.starter.dataset import IGNORED, Rows, rendered
from finetune.starter.tokenizer import CLOSE, END_OF_TEXT, OPEN


@pytest.fixture(scope="module")
def words() -> PreTrainedTokenizerFast:
    return make_tokenizer()


def test_the_text_repeats_itself_for_a_seed_only() -> None:
    first, again, other = (list(islice(conversations(seed), 50)) for seed in (1, 1, 2))
    assert first == again != other


def test_every_answer_is_whole_sentences() -> None:
    answers = [answer for _, answers in known() for answer in answers]
    assert len(answers) > 50
    assert all(answer[-1] in ".!?" and (answer[0].isupper() or answer.startswith("vLLM")) for answer in answers)
    assert all(isinstance(question, str) for questions, _ in known() for question in questions)


def test_a_tool_is_called_with_what_was_asked() -> None:
    schemas = {tool["name"]: tool["parameters"] for tool in read("tools.yaml")["tools"]}
    used = [talk for talk in islice(conversations(3), 300) if any("tool_calls" in said for said in talk.messages)]
    assert used
    for talk in used:
        (call,) = next(said["tool_calls"] for said in talk.messages if "tool_calls" in said)
        assert call["function"]["arguments"].keys() == schemas[call["function"]["name"]].keys()
        assert call["function"]["name"] in {tool["function"]["name"] for tool in talk.tools}


def test_the_vocabulary_has_the_size_of_the_network(words: PreTrainedTokenizerFast) -> None:
    assert len(words) == training.VOCABULARY
    assert [words.decode([words.convert_tokens_to_ids(token)]) for token in (OPEN, CLOSE)] == [OPEN, CLOSE]


def test_the_template_writes_tools_and_calls(words: PreTrainedTokenizerFast) -> None:
    call = {"function": {"name": "look", "arguments": {"at": "é"}}}
    messages: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "seen"},
    ]
    text = rendered(words, Conversation(messages, [{"type": "function", "function": {"name": "look"}}]))
    assert text.startswith("<|im_start|>system\nBe short.\nYou can call these tools:\n<tools>\n")
    (line,) = [line for line in text.splitlines() if '"arguments"' in line]
    assert json.loads(line) == {"name": "look", "arguments": {"at": "é"}}
    assert text.endswith("</tool_call><|im_end|>\n<|im_start|>tool\nseen<|im_end|>\n")


def test_it_learns_what_the_assistant_says_and_nothing_else(words: PreTrainedTokenizerFast) -> None:
    rows = Rows(words, 5)
    talk = Conversation([{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Hi there."}])
    ids, learnt = rows._chat(talk)
    assert words.decode([token for token, mark in zip(ids, learnt, strict=True) if mark]) == "Hi there." + CLOSE


def test_labels_are_the_next_tokens(words: PreTrainedTokenizerFast) -> None:
    batch = Rows(words, 5).batch(3, 200)
    assert batch.inputs.shape == batch.labels.shape == (3, 200)
    known_labels = batch.labels[:, :-1] != IGNORED
    assert torch.equal(batch.labels[:, :-1][known_labels], batch.inputs[:, 1:][known_labels])
    assert 0.1 < known_labels.float().mean() < 0.9
    ends = batch.inputs == words.convert_tokens_to_ids(END_OF_TEXT)
    assert ends.any()
    assert torch.equal(batch.positions[:, 1:] == 0, ends[:, :-1])


def test_the_rate_rises_and_falls() -> None:
    assert training.rate(0) == 0
    assert math.isclose(training.rate(training.WARM_UP_SHARE), 1)
    assert math.isclose(training.rate(1), training.LOWEST_RATE)


def test_a_few_steps_lower_the_loss(words: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SHORT", (2, 64))
    monkeypatch.setattr(training, "LONG_EVERY", 10**9)
    monkeypatch.setattr(training, "REPORT_EVERY", 1)
    model: LlamaForCausalLM = training.network(words)
    losses = [progress.loss for progress in training.train(model, Rows(words, 1), seconds=4)]
    assert losses[-1] < losses[0]
