"""Markdown: the text as it stands, its blocks by their lines."""

from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from retrieval.documents import Block, Document, Kind, check_length
from retrieval.encodings import decode
from retrieval.format import Format, Source

KINDS: dict[str, Kind] = {
    "heading_open": "heading",
    "paragraph_open": "text",
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
    "html_block": "text",
}


def create() -> Format:
    """CommonMark with tables."""
    return Format(frozenset({".md", ".markdown", ".mdx", ".mdown", ".mkd", ".qmd", ".rmd"}), parse)


def parse(source: Source) -> Document:
    """The text as it stands; the title is its first heading of level 1."""
    text = decode(source.data)
    check_length(len(text), source.limits)
    return structured(text)


def structured(text: str) -> Document:
    """Markdown that is text already."""
    blocks = tuple(_filled(text, _blocks(text)))
    first = next((block for block in blocks if block.kind == "heading" and block.level == 1), None)
    return Document(text[first.start : first.end].strip("#= \n") if first else "", text, blocks)


def _blocks(text: str) -> Iterator[Block]:
    lines = _line_starts(text)
    covered = _front_matter(text)
    for token in _tokens(text, covered):
        kind = KINDS.get(token.type)
        if kind is None or token.map is None or token.map[0] < covered:
            continue
        covered = token.map[1] if kind == "table" else covered
        start, stop = lines[token.map[0]], lines[min(token.map[1], len(lines) - 1)]
        body = text[start:stop]
        if body.strip():
            begin = start + len(body) - len(body.lstrip())
            yield Block(begin, start + len(body.rstrip()), kind, int(token.tag[1]) if kind == "heading" else 0)


def _filled(text: str, blocks: Iterator[Block]) -> Iterator[Block]:
    """With what stands between the blocks (rules, targets of links, settings) as text."""
    covered = 0
    for block in (*blocks, Block(len(text), len(text))):
        between = text[covered : block.start]
        if filled := between.strip():
            start = covered + len(between) - len(between.lstrip())
            yield Block(start, start + len(filled))
        if block.start < block.end:
            yield block
        covered = block.end


def _tokens(text: str, skipped: int) -> list[Token]:
    """Blocks only: what stands inside a line is not looked at, so its cost stays linear."""
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["block"])
    return parser.parse("\n" * skipped + text.split("\n", skipped)[skipped] if skipped else text)


def _front_matter(text: str) -> int:
    """Number of lines of the settings that a page may begin with."""
    if not text.startswith("---\n") or (end := text.find("\n---\n", 3)) < 0:
        return 0
    return text.count("\n", 0, end + 5)


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    starts[-1] = len(text)
    return starts
