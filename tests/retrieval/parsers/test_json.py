"""JSON and JSON lines."""

import pytest

from retrieval.documents import Limits, Unreadable
from retrieval.formats import parse


def lines(text: str) -> list[str]:
    return parse(text.encode(), "a.json", Limits()).text.split("\n")


def test_values_with_the_way_to_them() -> None:
    assert lines('{"a":{"b":[1,-0.50,1e400,NaN]},"a":"twice","c":[],"d":{},"":false}') == [
        "a.b[0]: 1", "a.b[1]: -0.50", "a.b[2]: 1e400", "a.b[3]: NaN", "", "a: twice", "c: []", "d: {}", "false",
    ]  # fmt: skip


def test_json_lines_are_paragraphs() -> None:
    assert lines('{"a":1,"b":2}\n\n{"a":3}\n') == ["a: 1", "b: 2", "", "a: 3"]


def test_half_a_surrogate_pair_is_marked() -> None:
    assert lines('["\\ud83d\\ude00\\ud800"]') == ["[0]: 😀\ufffd"]


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 300 + "1" + "]" * 300, '{"a":' * 5000 + "1" + "}" * 5000])
def test_too_deep_is_refused(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        lines(text)
    assert "nested" in caught.value.message


def test_a_long_number_is_kept() -> None:
    assert lines("[" + "7" * 10_000 + "]") == ["[0]: " + "7" * 10_000]


def test_what_is_no_json_names_the_line() -> None:
    with pytest.raises(Unreadable) as caught:
        lines('{"a":\n oops}')
    assert "line 2" in caught.value.message
