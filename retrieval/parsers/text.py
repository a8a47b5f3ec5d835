"""Plain text: paragraphs between blank lines."""

import re
from collections.abc import Iterator

from retrieval.documents import Block, Document, Kind, check_length
from retrieval.encodings import decode
from retrieval.format import Format, Source

LINES = re.compile(r"[^\n]+")


def create() -> Format:
    """For what no other format claims."""
    return Format(frozenset({".txt", ".text", ".log", ".rst", ".adoc", ".org", ".tex", ".srt", ".vtt"}), parse)


def parse(source: Source) -> Document:
    """The text as it stands."""
    text = decode(source.data)
    check_length(len(text), source.limits)
    return Document("", text, tuple(_paragraphs(text)))


def _paragraphs(text: str, kind: Kind = "text") -> Iterator[Block]:
    start = end = -1
    for line in LINES.finditer(text):
        filled = line.group().strip()
        if not filled:
            continue
        if start >= 0 and text.count("\n", end, line.start()) > 1:
            yield Block(start, end, kind)
            start = -1
        start = line.start() if start < 0 else start
        end = line.start() + len(line.group().rstrip())
    if start >= 0:
        yield Block(start, end, kind)
