"""Plain text."""

from retrieval.documents import Limits
from retrieval.formats import parse


def test_paragraphs_stand_between_blank_lines() -> None:
    document = parse(b"\n  a\nb  \n \t\n\nc\n", "a.txt", Limits())
    assert document.text == "\n  a\nb  \n \t\n\nc\n"
    assert [document.text[block.start : block.end] for block in document.blocks] == ["  a\nb", "c"]


def test_a_file_without_a_suffix_is_text() -> None:
    assert parse(b"all: build", "Makefile", Limits()).text == "all: build"
