"""CSV and TSV: one table."""

import csv
import io
from collections.abc import Iterator

from retrieval.documents import Document, Piece, joined, row
from retrieval.encodings import decode
from retrieval.format import Format, Source

SEPARATORS = ",;\t|"
SAMPLE_LINES = 20


def create() -> Format:
    """By suffix."""
    return Format(frozenset({".csv", ".tsv", ".tab"}), parse)


def parse(source: Source) -> Document:
    """A line for each row; the separator is what the first lines have most evenly."""
    text = decode(source.data)
    before = csv.field_size_limit(max(len(text), 1))
    try:
        return joined([Piece("\n".join(_rows(text)), "table")], source.limits)
    finally:
        csv.field_size_limit(before)  # it is the whole process's


def _rows(text: str) -> Iterator[str]:
    for cells in csv.reader(io.StringIO(text), delimiter=_separator(text)):
        if line := row(cells):
            yield line


def _separator(text: str) -> str:
    lines = [line for line in text[:65536].split("\n")[:SAMPLE_LINES] if line.strip()]
    return max(SEPARATORS, key=lambda each: (min((line.count(each) for line in lines), default=0), _total(lines, each)))


def _total(lines: list[str], separator: str) -> int:
    return sum(line.count(separator) for line in lines)
