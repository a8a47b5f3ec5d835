"""Spans of one text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents import Limits, Piece, Unreadable, clean, joined, row


@given(st.lists(st.text()))
def test_blocks_are_spans_of_the_text(texts: list[str]) -> None:
    document = joined([Piece(text) for text in texts], Limits())
    kept = [piece.text for piece in document.pieces()]
    assert kept == [filled for text in texts if (filled := clean(text).strip("\n").rstrip())]
    assert document.text == "\n\n".join(kept)


def test_what_no_database_holds_is_marked() -> None:
    assert clean("a\0b\ud800c\r\nd\re") == "a\ufffdb\ufffdc\nd\ne"


def test_the_block_at_an_offset() -> None:
    document = joined([Piece("ab", page=1), Piece("cd", page=2)], Limits())
    assert [block.page if (block := document.block_at(n)) else None for n in (0, 1, 3, 4, 9)] == [1, 1, 1, 2, 2]
    assert joined([], Limits()).block_at(0) is None


def test_too_much_text_is_refused() -> None:
    with pytest.raises(Unreadable) as caught:
        joined([Piece("a" * 11)], Limits(text_characters=10))
    assert caught.value.code == "invalid_file"
    assert "Split it" in caught.value.message


def test_a_row_is_one_line() -> None:
    assert row(["a\nb", "", " c ", ""]) == "a b |  | c |"
