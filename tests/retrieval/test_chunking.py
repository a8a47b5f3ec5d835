"""Chunks and windows of wild texts, with tokenizers of several kinds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadRequest
from retrieval.chunking import Chunk, chunks, heading, windows
from retrieval.documents import Block, Document, Limits, Piece, joined
from retrieval.spans import Tokenize

LETTERS = st.sampled_from(list("ab .!?\n\t#|é日。😀\u0301\u200d"))
TEXTS = st.one_of(st.text(max_size=400), st.lists(LETTERS, max_size=3000).map("".join))


def words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def byte_like(text: str) -> list[tuple[int, int]]:
    """As byte-level vocabularies do: spaces lead their word, and a letter of four bytes is four tokens of one place."""
    found = []
    for match in re.finditer(r"\s?\S{1,3}|\s", text):
        found += [match.span()] * (4 if "😀" in match.group() and len(match.group()) == 1 else 1)
    return found


def characters(text: str) -> list[tuple[int, int]]:
    return [(place, place + 1) for place in range(len(text))]


TOKENIZERS = st.sampled_from([words, byte_like, characters])


def pieces_of(text: str) -> list[Piece]:
    kinds = ("heading", "text", "code", "table")
    parts = text.split("\n\n")
    return [Piece(part, kinds[len(part) % 4], len(part) % 3 + 1) for part in parts]  # type: ignore[arg-type]


def count(text: str, start: int, end: int, tokenize: Tokenize) -> int:
    """Tokens of the whole text that have a letter in the span."""
    return sum(1 for begin, stop in tokenize(text) if begin < end and stop > start and text[begin:stop].strip())


@given(TEXTS, TOKENIZERS, st.integers(100, 140), st.integers(0, 50))
def test_chunks_hold_everything_in_order_and_size(text: str, tokenize: Tokenize, size: int, overlap: int) -> None:
    document = joined(pieces_of(text), Limits())
    found = list(chunks(document, tokenize, size, overlap))
    text = document.text
    covered = 0
    for chunk in found:
        assert text[chunk.start : chunk.end] == chunk.text == chunk.text.strip()
        assert chunk.text
        assert not text[covered : chunk.start].strip()
        if tokenize is not byte_like:
            assert count(text, chunk.start, chunk.end, tokenize) <= size
            assert count(text, chunk.start, max(covered, chunk.start), tokenize) <= overlap
        covered = max(covered, chunk.end)
    assert not text[covered:].strip()
    assert [chunk.start for chunk in found] == sorted({chunk.start for chunk in found})
    assert [chunk.end for chunk in found] == sorted(chunk.end for chunk in found)


@given(TEXTS, TOKENIZERS, st.integers(2, 60))
def test_windows_hold_everything(text: str, tokenize: Tokenize, size: int) -> None:
    covered = 0
    for start, end in windows(text, tokenize, size, size // 4):
        assert not text[covered:start].strip()
        covered = max(covered, end)
    assert not text[covered:].strip()


def test_the_last_sentence_of_a_long_chunk_is_in_a_window() -> None:
    last = "The launch code is forty-two."
    text = "Some words that say nothing at all. " * 97 + last
    (chunk,) = chunks(joined([Piece(text)], Limits()), words)
    assert 780 <= len(words(chunk.text)) <= 800
    seen = [chunk.text[start:end] for start, end in windows(chunk.text, words, 254, 64)]
    assert len(seen) > 3
    assert any(last in each for each in seen)
    assert all(len(words(each)) <= 254 for each in seen)


def test_a_chunk_knows_its_page_and_headings() -> None:
    pieces = [
        Piece("Guide", "heading", 1, 1), Piece("Intro " * 90, page=1),
        Piece("Install", "heading", 2, 2), Piece("step " * 90, page=2),
        Piece("Use", "heading", 2, 3), Piece("run " * 90, page=3),
    ]  # fmt: skip
    found = list(chunks(joined(pieces, Limits()), words, 100, 0))
    assert [(each.page, each.headings) for each in found] == [
        (1, ("Guide",)),
        (2, ("Guide", "Install")),
        (3, ("Guide", "Use")),
    ]


def test_a_chunk_knows_where_pages_begin_in_it() -> None:
    pieces = [Piece("one " * 40, page=1), Piece("more " * 5, page=1), Piece("two " * 40, page=2), Piece("end", page=4)]
    document = joined(pieces, Limits())
    two, end = document.text.index("two"), document.text.index("end")
    (whole,) = chunks(document, words, 100, 0)
    assert (whole.page, whole.pages) == (1, ((two, 2), (end, 4)))
    (without,) = chunks(joined([Piece("one"), Piece("two")], Limits()), words)
    assert (without.page, without.pages) == (None, ())


def test_a_chunk_in_a_table_knows_its_first_row() -> None:
    table = "name | age\n" + "\n".join(f"person {n} | {n}" for n in range(200))
    first, *rest = chunks(joined([Piece(table, "table")], Limits()), words, 100, 20)
    assert first.table_head is None
    assert rest
    assert {each.table_head for each in rest} == {"name | age"}
    assert all(each.text.startswith("person") for each in rest)


def test_cuts_prefer_sentences_to_words() -> None:
    text = " ".join(f"word{n} and so on until the end." for n in range(100))
    found = list(chunks(joined([Piece(text)], Limits()), words, 100, 30))
    assert all(each.text.endswith(".") for each in found)
    assert all(each.text.startswith("word") for each in found)


def test_many_headings_cost_no_more_than_their_text() -> None:
    document = joined([Piece(f"h{n}", "heading", 1) for n in range(20_000)], Limits())
    found = list(chunks(document, words, 100, 50))
    assert len(found) <= 20_000 / 25 + 1


def test_no_text_has_no_chunk() -> None:
    assert list(chunks(Document("", " \n", ()), words)) == []
    assert windows("", words, 10, 2) == []


def test_a_tokenizer_that_sees_nothing_loses_nothing() -> None:
    document = Document("", "¤¤", (Block(0, 2),))
    assert list(chunks(document, lambda _: [])) == [Chunk(0, 2, "¤¤")]


@pytest.mark.parametrize(("size", "overlap"), [(99, 0), (4097, 0), (800, 401), (800, -1)])
def test_sizes_that_openai_refuses(size: int, overlap: int) -> None:
    with pytest.raises(BadRequest):
        list(chunks(Document("", "a", ()), words, size, overlap))


@pytest.mark.parametrize(("window", "overlap"), [(0, 0), (10, 6), (10, -1)])
def test_windows_that_make_no_sense(window: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="window"):
        windows("a", words, window, overlap)


@pytest.mark.parametrize(("text", "title"), [("## A b ##", "A b"), ("A\n===", "A"), ("C#", "C#"), ("#", "#")])
def test_headings_without_marks(text: str, title: str) -> None:
    assert heading(text) == title
