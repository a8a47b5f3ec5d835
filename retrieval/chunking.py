"""Documents cut into chunks by their structure, and long chunks into the windows of an embedder.

Sizes are OpenAI's `static` ones, in tokens of whatever tokenizer is handed in. Embedders and stores are not known here.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from configs.errors import BadRequest
from retrieval import spans
from retrieval.documents import Block, Document
from retrieval.spans import BLOCK, HEADING, Cut, Tokenize

MIN_TOKENS = 100
MAX_TOKENS = 4096
"""OpenAI's range of `max_chunk_size_tokens`; `chunk_overlap_tokens` is at most half of it."""
DEFAULT_TOKENS = 800
DEFAULT_OVERLAP = 400


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is the document's text from `start` up to, not including, `end`.

    `headings` are those it stands under, the outermost first. `table_head` is the first row of the table that it begins
    in the middle of; it is no part of `text`. `page` is the one that it begins on, `pages` are those that begin in it,
    each with where in the document.
    """

    start: int
    end: int
    text: str
    page: int | None = None
    headings: tuple[str, ...] = ()
    table_head: str | None = None
    pages: tuple[tuple[int, int | None], ...] = ()


def chunks(
    document: Document, tokenize: Tokenize, max_tokens: int = DEFAULT_TOKENS, overlap_tokens: int = DEFAULT_OVERLAP
) -> Iterator[Chunk]:
    """The chunks of a document, in order; the cuts are at headings, then blocks, lines, sentences, words.

    `max_tokens` counts the tokens of the whole text; special tokens that an embedder adds come on top.

    Raises:
        BadRequest: the sizes are out of range.
    """
    check_sizes(max_tokens, overlap_tokens)
    found = spans.places(document.text) | {block.start: _rank(block) for block in document.blocks}
    outline = _Outline(document)
    for start, end in spans.spans(document.text, tokenize, Cut(max_tokens, overlap_tokens, max_tokens // 2), found):
        block = document.block_at(start)
        yield Chunk(
            start, end, document.text[start:end], block.page if block else None, outline.at(start),
            _table_head(document, block, start), _pages(document, start, end),
        )  # fmt: skip


def windows(text: str, tokenize: Tokenize, window_tokens: int, overlap_tokens: int) -> list[tuple[int, int]]:
    """The overlapping spans of `text` that an embedder can see at once, cut between words; one where it fits whole.

    `window_tokens` is without the special tokens that the embedder adds.

    Raises:
        ValueError: no window, or an overlap of more than half of it.
    """
    if window_tokens < 1 or not 0 <= overlap_tokens <= window_tokens // 2:
        raise ValueError("A window has a token or more, and overlaps by at most half.")
    cut = Cut(window_tokens, overlap_tokens, window_tokens // 8)
    return list(spans.spans(text, tokenize, cut, spans.places(text)))


def check_sizes(max_tokens: int, overlap_tokens: int) -> None:
    """Refuse sizes that OpenAI refuses.

    Raises:
        BadRequest: they are out of range.
    """
    if not MIN_TOKENS <= max_tokens <= MAX_TOKENS:
        raise BadRequest(
            f"'max_chunk_size_tokens' is a whole number from {MIN_TOKENS} to {MAX_TOKENS}.",
            param="max_chunk_size_tokens",
        )
    if not 0 <= overlap_tokens <= max_tokens // 2:
        raise BadRequest(
            "'chunk_overlap_tokens' is from 0 to half of 'max_chunk_size_tokens'.",
            param="chunk_overlap_tokens",
        )


def _rank(block: Block) -> int:
    return HEADING if block.kind == "heading" else BLOCK


def _table_head(document: Document, block: Block | None, start: int) -> str | None:
    if block is None or block.kind != "table" or not block.start < start < block.end:
        return None
    return document.text[block.start : block.end].partition("\n")[0]


def _pages(document: Document, start: int, end: int) -> tuple[tuple[int, int | None], ...]:
    """Where between `start` and `end` another page begins, and which."""
    blocks, at = document.blocks, bisect_right(document.blocks, start, key=lambda block: block.start)
    page, found = blocks[at - 1].page if at else None, []
    while at < len(blocks) and blocks[at].start < end:
        if blocks[at].page != page:
            page = blocks[at].page
            found.append((blocks[at].start, page))
        at += 1
    return tuple(found)


class _Outline:
    """The headings in force at growing offsets."""

    def __init__(self, document: Document) -> None:
        self._text = document.text
        self._coming = [block for block in reversed(document.blocks) if block.kind == "heading"]
        self._open: list[tuple[int, str]] = []

    def at(self, offset: int) -> tuple[str, ...]:
        while self._coming and self._coming[-1].start <= offset:
            block = self._coming.pop()
            while self._open and self._open[-1][0] >= block.level:
                self._open.pop()
            self._open.append((block.level, heading(self._text[block.start : block.end])))
        return tuple(title for _, title in self._open)


def heading(text: str) -> str:
    """A heading's words, without the marks of Markdown."""
    first = text.strip().partition("\n")[0].strip()
    return (first.lstrip("#").strip().rstrip("#").rstrip() if first.startswith("#") else first) or first
