from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import AfterValidator, Field, model_validator

from api.context import Context
from api.validation import MAX_PARAM, Wire, Wrong, param_of, read
from configs.errors import BadRequest, UnsupportedParameter


def _small(given: int) -> int:
    if given > 9:
        raise Wrong("Small numbers only.")
    return given


class Pair(Wire):
    least: int = 0
    most: Annotated[int, AfterValidator(_small)] = 9

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least > self.most:
            raise Wrong("The least comes first.", "least")
        return self


class Part(Wire):
    kind: Literal["a", "b"]
    items: Annotated[list[int], Field(min_length=1, max_length=2)] | None = None
    pair: Pair | None = None


class Shape(Wire):
    name: Annotated[str, Field(min_length=1, max_length=5)]
    number: Annotated[float, Field(ge=0, lt=2)] | None = None
    flag: bool | None = None
    parts: list[Part] | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


def refused(json: Any) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        read(Shape, Context("given", "own", json=json))
    return raised.value


def test_a_good_body_is_read() -> None:
    json = {"name": "a", "number": 1, "parts": [{"kind": "a", "items": [1]}], "schema": {"x": 1}}
    shape = read(Shape, Context("given", "own", json=json))
    assert shape.model_dump(by_alias=True, exclude_none=True) == json | {"number": 1.0}


@pytest.mark.parametrize("json", [None, [], "text", 1, True])
def test_what_is_no_object_is_refused_with_the_way_out(json: Any) -> None:
    assert "content-type: application/json" in refused(json).message


@pytest.mark.parametrize(
    ("json", "param", "words"),
    [
        ({}, "name", "Missing required parameter: 'name'."),
        ({"name": 7}, "name", "expected a string"),
        ({"name": ""}, "name", "expected at least 1"),
        ({"name": "secret"}, "name", "expected at most 5 characters"),
        ({"name": "a", "number": -1}, "number", "expected at least 0"),
        ({"name": "a", "number": 2}, "number", "expected below 2"),
        ({"name": "a", "number": "1"}, "number", "expected a number"),
        ({"name": "a", "flag": 1}, "flag", "expected true or false"),
        ({"name": "a", "flag": "true"}, "flag", "expected true or false"),
        ({"name": "a", "parts": {}}, "parts", "expected a list"),
        ({"name": "a", "parts": ["secret"]}, "parts[0]", "expected an object"),
        ({"name": "a", "parts": [{"kind": "secret"}]}, "parts[0].kind", "expected one of 'a' or 'b'"),
        ({"name": "a", "parts": [{"kind": "a"}, {}]}, "parts[1].kind", "Missing required parameter"),
        ({"name": "a", "parts": [{"kind": "a", "items": [1.5]}]}, "parts[0].items[0]", "expected an integer"),
        ({"name": "a", "parts": [{"kind": "a", "items": []}]}, "parts[0].items", "expected at least 1"),
        ({"name": "a", "parts": [{"kind": "a", "items": [1, 2, 3]}]}, "parts[0].items", "expected at most 2 of them"),
        ({"name": "a", "schema": 1}, "schema", "expected an object"),
    ],
)
def test_the_field_and_what_was_expected_are_named(json: Any, param: str, words: str) -> None:
    error = refused(json)
    assert type(error) is BadRequest
    assert error.param == param
    assert words in error.message
    assert "secret" not in error.message


def test_an_unknown_field_is_named() -> None:
    for json, param in (
        ({"name": "a", "extra": 1}, "extra"),
        ({"name": "a", "parts": [{"kind": "a", "x": 1}]}, "parts[0].x"),
    ):
        error = refused(json)
        assert isinstance(error, UnsupportedParameter)
        assert (error.param, error.message) == (param, f"Unknown parameter: {param!r}.")


def test_a_shapes_own_error_is_named_by_its_place() -> None:
    for pair, field, words in (({"least": 10}, ".least", "The least"), ({"most": 10}, ".most", "Small")):
        error = refused({"name": "a", "parts": [{"kind": "a", "pair": pair}]})
        assert error.param == f"parts[0].pair{field}"
        assert error.message.startswith(words)
    with pytest.raises(BadRequest) as raised:
        read(Pair, Context("given", "own", json={"least": 10}))
    assert raised.value.param == "least"


def test_an_unknown_name_without_end_is_cut() -> None:
    error = refused({"name": "a", "x" * 10_000: 1})
    assert error.param is not None
    assert len(error.param) <= MAX_PARAM
    assert len(error.message) < 2 * MAX_PARAM


@pytest.mark.parametrize(
    ("location", "param"),
    [
        (("a", 0, "b"), "a[0].b"), (("a", "list[str]", 3), "a[3]"), (("a", "TextPart", "b"), "a.b"), ((), ""),
        (("a", 0, 1), "a[0][1]"),
    ],
)  # fmt: skip
def test_names_of_branches_are_left_out(location: tuple[int | str, ...], param: str) -> None:
    assert param_of(location) == param
