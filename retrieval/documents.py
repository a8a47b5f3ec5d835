"""What a file is after it was read: its text, and where headings, paragraphs, code and tables stand in it.

Every block is a span of the one text, so a quote can be checked by slicing. How a format is read is not known here.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["heading", "text", "code", "table"]

BLANK_LINE = "\n\n"
UNSAFE = re.compile("[\0\ud800-\udfff]")
"""What PostgreSQL and UTF-8 cannot hold: NUL and halves of surrogate pairs."""
LINE_END = re.compile("\r\n?")
TOO_MUCH = "The file takes more time or memory to read than is allowed. Split it, or save it in a simpler format."


class Unreadable(Exception):
    """A file that has no text for us.

    `code` is OpenAI's for `vector_store.file.last_error`: unsupported_file, invalid_file or server_error. `message` is
    written for the person who sent the file and names the way out.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def unsupported(message: str) -> Unreadable:
    """A format that nobody here reads."""
    return Unreadable("unsupported_file", message)


def invalid(message: str) -> Unreadable:
    """A file that is broken, locked or too much."""
    return Unreadable("invalid_file", message)


@dataclass(frozen=True, slots=True)
class Docling:
    """Where docling is installed and how it reads; what one file may cost it. The fields are `ingest.docling`'s."""

    python: str
    artifacts_path: str
    ocr: bool = True
    ocr_language: str | None = None
    cpu_s: int = 1800
    memory_bytes: int = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost, with all that is packed in it. Times are in seconds, sizes in bytes.

    With `docling`, PDFs and pictures are read by it, within limits of its own.
    """

    file_bytes: int = 512 * 2**20
    text_characters: int = 20_000_000
    pages: int = 5_000
    unpacked_bytes: int = 512 * 2**20
    ratio: int = 200
    members: int = 10_000
    depth: int = 3
    cpu_s: int = 120
    wall_s: int = 600
    memory_bytes: int = 4 * 2**30
    docling: Docling | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that a parser found. `level` is a heading's, from 1; `page` counts from 1 where a format has pages."""

    text: str
    kind: Kind = "text"
    level: int = 0
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A piece as it stands in a document's text, from `start` up to, not including, `end` (characters)."""

    start: int
    end: int
    kind: Kind = "text"
    level: int = 0
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """`text` is all that can be quoted; `blocks` are in order and do not overlap; `notes` tell what was left out."""

    title: str
    text: str
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()

    def block_at(self, offset: int) -> Block | None:
        """The last block that begins at or before `offset`; None where there is none."""
        place = bisect_right(self.blocks, offset, key=lambda block: block.start)
        return self.blocks[place - 1] if place else None

    def pieces(self) -> Iterable[Piece]:
        """The blocks with their texts."""
        return (Piece(self.text[b.start : b.end], b.kind, b.level, b.page) for b in self.blocks)


def clean(text: str) -> str:
    """Line ends as `\\n`; what no database holds as U+FFFD."""
    return UNSAFE.sub("\ufffd", LINE_END.sub("\n", text))


def joined(pieces: Iterable[Piece], limits: Limits, title: str = "", notes: Iterable[str] = ()) -> Document:
    """A document of pieces with a blank line between them; empty ones are dropped.

    Raises:
        Unreadable: the text is longer than allowed.
    """
    blocks: list[Block] = []
    texts: list[str] = []
    start = 0
    for piece in pieces:
        if text := clean(piece.text).strip("\n").rstrip():
            blocks.append(Block(start, start + len(text), piece.kind, piece.level, piece.page))
            texts.append(text)
            start += len(text) + len(BLANK_LINE)
            check_length(start, limits)
    return Document(clean(title).strip(), BLANK_LINE.join(texts), tuple(blocks), tuple(notes))


def check_length(characters: int, limits: Limits) -> None:
    """Refuse a text that is too long.

    Raises:
        Unreadable: it is.
    """
    if characters > limits.text_characters + len(BLANK_LINE):
        raise invalid(f"The file has more than {limits.text_characters} characters of text. Split it.")


def row(cells: Iterable[str]) -> str:
    """One row of a table as a line."""
    return " | ".join(" ".join(cell.split()) for cell in cells).rstrip()
