"""Tables of text."""

import csv

import pytest

from retrieval.documents import Limits
from retrieval.formats import parse


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(separator: str) -> None:
    table = f"name{separator}note\nAda{separator}first; of all, or nearly\n"
    if separator in ",;":
        table = table.replace("first; of all, or nearly", '"first; of all, or nearly"')
    assert parse(table.encode(), "a.csv", Limits()).text == "name | note\nAda | first; of all, or nearly"


def test_line_ends_in_a_cell_are_spaces() -> None:
    (block,) = parse(b'a,b\n"x\ny",2\n', "a.csv", Limits()).blocks
    assert block.kind == "table"
    assert parse(b'a,b\n"x\ny",2\n', "a.csv", Limits()).text == "a | b\nx y | 2"


def test_a_long_cell_is_kept() -> None:
    assert "x" * 200_000 in parse(b"a,b\n" + b"x" * 200_000, "a.csv", Limits()).text


def test_the_limit_of_the_whole_process_stays() -> None:
    before = csv.field_size_limit()
    parse(b"a,b\n1,2\n", "a.csv", Limits())
    assert csv.field_size_limit() == before
