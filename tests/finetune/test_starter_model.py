"""The `starter` that ships: what a user gets without a network."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from models import sources

FOLDER = sources.folder("starter", "transformers")
MOST_BYTES = 20_000_000
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def words() -> PreTrainedTokenizerFast:
    loaded: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(FOLDER)
    return loaded


@pytest.fixture(scope="module")
def model() -> Any:
    return AutoModelForCausalLM.from_pretrained(FOLDER)


def test_it_is_small_and_carries_no_pickle() -> None:
    files = [file for file in FOLDER.iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    assert {file.suffix for file in files} == {".json", ".jinja", ".md", ".safetensors"}


def test_its_card_says_what_it_is_and_is_not() -> None:
    card = (FOLDER / "README.md").read_text("utf-8")
    assert "## What it is\n" in card
    assert "## What it is not\n" in card
    assert "license: apache-2.0" in card


def test_its_shape(words: PreTrainedTokenizerFast) -> None:
    config = json.loads((FOLDER / "config.json").read_text("utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["max_position_embeddings"] >= 4096
    assert config["vocab_size"] == len(words)
    assert not Path(config.get("_name_or_path", "")).is_absolute()


@given(st.text())
def test_any_text_comes_back_unchanged(text: str) -> None:
    words = AutoTokenizer.from_pretrained(FOLDER)
    assert words.decode(words.encode(text, add_special_tokens=False)) == text


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("hello", "help"),
        ("What is Manta?", "self-host"),
        ("How do I start Manta?", "make serve"),
        ("how can i add a model?", "manta models add"),
        ("What is your name?", "starter"),
        ("How do I create an API key?", "manta keys create"),
        ("Does Manta need a GPU?", "GPU"),
        ("What is the capital of Peru?", "small"),
    ],
)
def test_it_answers_in_sentences(words: PreTrainedTokenizerFast, model: Any, question: str, word: str) -> None:
    said = answer(words, model, [{"role": "user", "content": question}])
    assert word.lower() in said.lower()
    assert said[0].isupper()
    assert said[-1] in ".!?"


def test_it_remembers_the_turn_before(words: PreTrainedTokenizerFast, model: Any) -> None:
    first = answer(words, model, [{"role": "user", "content": "hello"}])
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": first}]
    assert "make serve" in answer(words, model, [*turns, {"role": "user", "content": "How do I start Manta?"}])


@pytest.mark.parametrize("city", ["Lisbon", "Berlin", "Tokyo"])
def test_it_calls_the_tool_that_fits(words: PreTrainedTokenizerFast, model: Any, city: str) -> None:
    """The right tool with the right field; the value it puts there is mostly wrong, as its card says."""
    said = answer(words, model, [{"role": "user", "content": f"What is the weather in {city}?"}], [WEATHER])
    call = json.loads(said.removeprefix("<tool_call>").removesuffix("</tool_call>"))
    assert call["name"] == "get_weather"
    assert isinstance(call["arguments"]["city"], str)


def answer(words: PreTrainedTokenizerFast, model: Any, messages: list[dict[str, Any]], tools: Any = None) -> str:
    prompt = words.apply_chat_template(messages, tools=tools, add_generation_prompt=True, return_tensors="pt")
    written = model.generate(**prompt, max_new_tokens=90, do_sample=False)
    return str(words.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)).strip()
