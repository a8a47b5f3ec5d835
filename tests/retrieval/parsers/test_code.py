"""Source files."""

from retrieval.documents import Limits
from retrieval.formats import parse
from tests.retrieval.parsers.samples import code


def test_a_block_for_each_definition() -> None:
    document = parse(code().data, "tool.py", Limits())
    assert document.text == code().data.decode()
    assert [piece.text.split("\n")[0] for piece in document.pieces()] == ["import os", "def one():", "class Two:"]


def test_a_closing_bracket_begins_nothing() -> None:
    document = parse(b"\n\nlist = (\n    1,\n\n)\n", "tool.js", Limits())
    assert [piece.text for piece in document.pieces()] == ["list = (\n    1,\n\n)"]


def test_a_file_that_begins_indented() -> None:
    document = parse(b"  x = 1\n\ny = 2\n", "tool.rb", Limits())
    assert [piece.text for piece in document.pieces()] == ["x = 1", "y = 2"]
