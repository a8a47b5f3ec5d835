import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.imports import json_reader
from api.imports.json_reader import Damaged, elements, parsed
from api.imports.records import Unfit

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
OBJECTS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=4)


def in_chunks(data: bytes, size: int) -> Callable[[int], bytes]:
    """A `read` that gives at most `size` bytes whatever is asked."""
    rest = bytearray(data)

    def read(asked: int) -> bytes:
        given = bytes(rest[: min(asked, size)])
        del rest[: len(given)]
        return given

    return read


@settings(max_examples=40, deadline=None)
@given(OBJECTS, st.integers(1, 40), st.booleans(), st.sampled_from([None, 1]))
def test_a_list_is_cut_into_its_elements(value: Any, size: int, ascii_only: bool, indent: int | None) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8")
    read = [parsed(part) for part in elements(in_chunks(data, size)) if part is not None]
    assert read == value


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.text(), VALUES), st.integers(1, 40))
def test_one_object_is_a_list_of_one(value: Any, size: int) -> None:
    data = b"\xef\xbb\xbf " + json.dumps(value).encode()
    assert [parsed(part or b"") for part in elements(in_chunks(data, max(size, 3)))] == [value]


@pytest.mark.parametrize(
    "data", [b"", b"   ", b"x", b'"[{}]"', b"[}]", b"[{}", b'[{"a": "]}', b'[{"a": "\\"}]', b"[{},"]
)
def test_what_is_no_whole_list_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        list(elements(in_chunks(data, 5)))


def test_what_came_before_the_damage_is_given() -> None:
    given = elements(in_chunks(b'[{"a": 1}, {"b": 2}, {"c": ', 4))
    assert [next(given), next(given)] == [b'{"a": 1}', b'{"b": 2}']


def test_a_broken_element_costs_only_itself() -> None:
    parts = list(elements(in_chunks(b'[{"a": tru}, {"b": ]}, {"a": 1, "a": 2}, {"c": 3}]', 7)))
    assert len(parts) == 4
    for part in parts[:3]:
        with pytest.raises(Unfit, match="no valid JSON"):
            parsed(part or b"")
    assert parsed(parts[3] or b"") == {"c": 3}


def test_elements_that_are_no_objects_cost_only_themselves() -> None:
    data = b'[null, {"a": 1}, "{\\"[", -1.5e9, {"b": 2}, true, [[{}]]]'
    for size in range(3, 30):
        assert [parsed(part or b"") for part in elements(in_chunks(data, size))] == [
            None, {"a": 1}, '{"[', None, {"b": 2}, None, [[{}]],
        ]  # fmt: skip


def test_a_large_element_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_reader, "LARGEST_BYTES", 100)
    large = json.dumps({"a": '\\"x' * 100}).encode()
    assert list(elements(in_chunks(b"[{}," + large + b',{"b":1}]', 9))) == [b"{}", None, b'{"b":1}']
    with pytest.raises(Unfit, match="larger than"):
        parsed(large)


def test_depth_has_a_limit_that_is_far_away() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":[' * depth + b'"x"' + b"]}" * depth

    value = parsed(nested(10_000))
    for _ in range(10_000):
        (value,) = value["a"]
    assert value == "x"
    with pytest.raises(Unfit, match="40,000 deep"):
        parsed(nested(20_001))
    with pytest.raises(Unfit, match="lists and objects"):
        parsed(b"[" + b"[]," * 2_000_000 + b"[]]")


@pytest.mark.parametrize(
    "data", [b"NaN", b"-Infinity", b"\xff", b"1" * 5000, b"{1: 2}", b'"\x01"', b"[1]]", b"", b"[1,]"]
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(Unfit):
        parsed(data)


def outcome(read: Callable[[], Any]) -> Any:
    try:
        return repr(read())
    except ValueError:
        return ValueError


PIECES = st.lists(
    st.sampled_from(
        ["{", "}", "[", "]", ",", ":", '"a"', '"b\\"\\u00e9"', "1", "-2.5e3", "true", "null", " ", "x", '"']
    )
)


@given(st.one_of(VALUES.map(json.dumps), PIECES.map("".join)))
def test_the_deep_reader_reads_what_the_library_reads(text: str) -> None:
    strict = outcome(lambda: json.loads(text, object_pairs_hook=json_reader._object))
    assert outcome(lambda: json_reader._Nested(text).value()) == strict
