from base64 import b64decode
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadRequest, UnsupportedParameter
from models.embedding import wire
from models.embedding.protocol import EmbeddingRequest, EmbeddingResult, InputType


def request(**fields: Any) -> EmbeddingRequest:
    return wire.parse({"model": "m", "input": "a", **fields})


@pytest.mark.parametrize(
    ("given", "inputs"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]]), (" ", [" "])],
)
def test_the_four_forms_of_input(given: Any, inputs: Any) -> None:
    assert request(input=given).inputs == inputs


@pytest.mark.parametrize(
    "wrong",
    [
        None, "", [], [""], ["a", ""], ["a", 1], [1, "a"], [[1], "a"], ["a", [1]], [[]], [[1], []], [1.0], [[1.5]],
        [True], [[True]], {}, 3, True, [None], [[None]], ["a", None], [[[1]]], "\ud800", ["a", "\udfff"], ["a"] * 2049,
    ],
)  # fmt: skip
def test_wrong_inputs_name_the_field(wrong: Any) -> None:
    with pytest.raises(BadRequest) as raised:
        request(input=wrong)
    assert raised.value.param == "input"


def test_input_is_needed() -> None:
    with pytest.raises(BadRequest, match="'input' must be"):
        wire.parse({"model": "m"})


def test_2048_inputs_are_taken() -> None:
    assert len(request(input=["a"] * 2048).inputs) == 2048


def test_options() -> None:
    assert request() == EmbeddingRequest(["a"])
    full = request(encoding_format="base64", dimensions=3, user="u", truncate_prompt_tokens=-1, input_type="query")
    assert full == EmbeddingRequest(["a"], 3, -1, InputType.QUERY, base64=True)
    assert request(encoding_format="float", dimensions=None, user=None, input_type=None) == EmbeddingRequest(["a"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoding_format", "int8"), ("encoding_format", 1), ("dimensions", 0), ("dimensions", "3"),
        ("dimensions", 2.0), ("dimensions", True), ("user", 5), ("truncate_prompt_tokens", -2),
        ("truncate_prompt_tokens", "all"),
        ("input_type", "QUERY"), ("input_type", ["query"]), ("encoding_format", ["float"]),
    ],
)  # fmt: skip
def test_wrong_options_name_the_field(field: str, value: Any) -> None:
    with pytest.raises(BadRequest) as raised:
        request(**{field: value})
    assert raised.value.param == field


def test_an_unknown_field_is_refused_and_not_echoed_at_length() -> None:
    with pytest.raises(UnsupportedParameter) as raised:
        request(**{"x" * 5000: 1})
    assert raised.value.param == "x" * 64
    assert len(raised.value.message) < 100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(wire.FIELDS)) | st.text(max_size=8), JSON, max_size=6))
def test_any_object_is_a_request_or_a_bad_request(body: dict[str, Any]) -> None:
    try:
        parsed = wire.parse(body)
    except BadRequest as error:
        assert error.param is not None  # noqa: PT017  either way out is right
    else:
        assert parsed.inputs
        assert all(parsed.inputs)


VECTORS = np.array([[0.1, -1e-30, 3.0], [1 / 3, 0.0, -2.5]], np.float32)


def test_numbers_and_base64_are_the_same_vectors() -> None:
    plain = orjson.loads(wire.render(EmbeddingResult(VECTORS, 7), "m", base64=False))
    coded = orjson.loads(wire.render(EmbeddingResult(VECTORS, 7), "m", base64=True))
    for index, row in enumerate(VECTORS):
        np.testing.assert_array_equal(np.array(plain["data"][index]["embedding"], np.float32), row)
        np.testing.assert_array_equal(np.frombuffer(b64decode(coded["data"][index]["embedding"]), "<f4"), row)
    for body in (plain, coded):
        assert [(entry["object"], entry["index"]) for entry in body["data"]] == [("embedding", 0), ("embedding", 1)]
        assert (body["object"], body["model"]) == ("list", "m")
        assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
