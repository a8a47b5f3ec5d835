"""Completions, embeddings, rerank and tokenize: the shapes that take plain texts or tokens."""

from typing import Any

import pytest

from api.openai.completions import MAX_PROMPTS, CompletionRequest
from api.openai.embeddings import MAX_CHARACTERS, MAX_INPUTS, EmbeddingsRequest
from api.openai.rerank import RerankRequest
from api.openai.tokenize import TokenizeRequest
from api.validation import Wire
from configs.errors import BadRequest
from tests.fixtures.shapes import SAMPLING, accepts, refuses, refuses_unknown

USER = {"role": "user", "content": "hello"}
BASE: dict[type[Wire], dict[str, Any]] = {
    CompletionRequest: {"model": "m", "prompt": "p"},
    EmbeddingsRequest: {"model": "m", "input": "i"},
    RerankRequest: {"model": "m", "query": "q", "documents": ["d"]},
    TokenizeRequest: {"model": "m", "prompt": "p"},
}
FIELDS: dict[type[Wire], list[tuple[str, list[Any], list[Any]]]] = {
    CompletionRequest: [
        *SAMPLING,
        (
            "prompt",
            ["p", [0, 2**31 - 1], ["p"] * MAX_PROMPTS, [[1, 2], [3]]],
            ["", [], [""], [[]], ["p"] * (MAX_PROMPTS + 1), [[1]] * (MAX_PROMPTS + 1), [-1], [2**31], ["p", 1], 1],
        ),
        ("echo", [True, False], ["yes"]),
        ("best_of", [1, None], [2]),
        ("suffix", [None], ["s"]),
        ("logprobs", [0, 20], [-1, 21, True]),
    ],
    EmbeddingsRequest: [
        ("model", ["m" * 256], ["", "m" * 257]),
        (
            "input",
            ["i", "i" * MAX_CHARACTERS, [0, 2**31 - 1], ["i"] * MAX_INPUTS, [[1, 2], [3]]],
            [
                "", [], [""], [[]], "i" * (MAX_CHARACTERS + 1), ["i"] * (MAX_INPUTS + 1), [[1]] * (MAX_INPUTS + 1),
                [-1], [2**31], ["i", [1]], [1.5], None,
            ],
        ),
        ("encoding_format", ["float", "base64", None], ["hex"]),
        ("dimensions", [1, 65536, None], [0, 65537, 1.5]),
        ("user", ["u" * 512], ["u" * 513]),
        ("truncate_prompt_tokens", [-1, 0, 2**20], [-2, 2**20 + 1]),
        ("input_type", ["query", "document", None], ["passage"]),
    ],
    RerankRequest: [
        ("model", ["m" * 256], ["", "m" * 257]),
        ("query", ["q" * MAX_CHARACTERS], ["", "q" * (MAX_CHARACTERS + 1), ["q"], None]),
        (
            "documents",
            [["d"] * MAX_INPUTS, [{"text": "d"}, "d"]],
            [[], "d", [""], ["d"] * (MAX_INPUTS + 1), [{"text": ""}], [{"title": "d"}], [{"text": "d", "a": 1}], [1]],
        ),
        ("top_n", [1, 10**6, None], [0, 1.5, True]),
        ("return_documents", [True, False], [1, None]),
        ("user", ["u" * 512], ["u" * 513]),
    ],
    TokenizeRequest: [
        ("model", ["m" * 256], ["", "m" * 257]),
        ("add_special_tokens", [True, None], [1]),
        ("add_generation_prompt", [True, None], [1]),
        ("return_token_strs", [True, None], [1]),
    ],
}  # fmt: skip
GOOD = [(shape, name, value) for shape, fields in FIELDS.items() for name, good, _ in fields for value in good]
BAD = [(shape, name, value) for shape, fields in FIELDS.items() for name, _, bad in fields for value in bad]


def label(each: Any) -> str:
    return each.__name__ if isinstance(each, type) else str(each)[:40]


@pytest.mark.parametrize(("shape", "name", "value"), GOOD, ids=label)
def test_a_field_is_accepted_up_to_its_limits(shape: type[Wire], name: str, value: Any) -> None:
    accepts(shape, BASE[shape] | {name: value})


@pytest.mark.parametrize(("shape", "name", "value"), BAD, ids=label)
def test_a_field_is_refused_beyond_its_limits(shape: type[Wire], name: str, value: Any) -> None:
    param = refuses(shape, BASE[shape] | {name: value}).param
    assert param is not None
    assert param.startswith(name)


@pytest.mark.parametrize("shape", BASE, ids=label)
def test_an_unknown_field_is_refused(shape: type[Wire]) -> None:
    for name in ("extra", "metadata"):
        refuses_unknown(shape, BASE[shape] | {name: 1}, name)


@pytest.mark.parametrize("shape", [CompletionRequest, EmbeddingsRequest], ids=label)
def test_every_field_is_tested(shape: type[Wire]) -> None:
    assert {name for name, _, _ in FIELDS[shape]} == set(shape.model_fields) - {"stream_options"}


def test_a_prompt_is_scored_without_a_new_token() -> None:
    accepts(CompletionRequest, {"model": "m", "prompt": "p", "echo": True, "logprobs": 1, "max_tokens": 0})


def test_tokenize_takes_a_prompt_or_messages() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    accepts(TokenizeRequest, {"model": "m", "prompt": ""})
    accepts(TokenizeRequest, {"model": "m", "messages": [USER], "tools": [tool]})
    for both in ({}, {"prompt": "p", "messages": [USER]}):
        assert "either 'prompt' or 'messages'" in refuses(TokenizeRequest, {"model": "m", **both}).message
    assert refuses(TokenizeRequest, {"model": "m", "messages": []}).param == "messages"


def test_a_document_that_is_no_text_is_named_by_its_field() -> None:
    for document, param in (({"txt": "d"}, "documents[0].text"), (1, "documents[0]")):
        error = refuses(RerankRequest, BASE[RerankRequest] | {"documents": [document]})
        assert (type(error), error.param) == (BadRequest, param)
    refuses_unknown(RerankRequest, BASE[RerankRequest] | {"documents": [{"text": "d", "a": 1}]}, "documents[0].a")
