"""The contract of a parser: a file in `retrieval/parsers/` has a `create` that returns a `Format`."""

from collections.abc import Callable
from dataclasses import dataclass

from retrieval.documents import Document, Limits


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read. `inner` reads a file that is packed in this one, and counts how deep that is."""

    data: bytes
    filename: str
    limits: Limits
    inner: Callable[[bytes, str], Document]


@dataclass(frozen=True, slots=True)
class Format:
    """A format by its lower-case suffixes, and by its content where that can be told.

    `certain` says that content which is recognised wins over any suffix; else it only helps where the suffix tells
    nothing. `parse` raises `Unreadable`, or whatever its library raises for a broken file.
    """

    suffixes: frozenset[str]
    parse: Callable[[Source], Document]
    recognises: Callable[[bytes], bool] | None = None
    certain: bool = False
