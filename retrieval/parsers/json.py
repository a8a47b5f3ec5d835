"""JSON and JSON lines: a line for each value with the way to it, so that a value is found with its names.

Numbers stay as they are written.
"""

import json
from collections.abc import Iterator
from typing import Any

from retrieval.documents import Document, Piece, invalid, joined
from retrieval.encodings import decode
from retrieval.format import Format, Source

MAX_DEPTH = 200
RECORD_LINES = 50


def create() -> Format:
    """By suffix: a text that looks like JSON is text."""
    return Format(frozenset({".json", ".jsonl", ".ndjson", ".geojson"}), parse)


def parse(source: Source) -> Document:
    """A paragraph for each member at the top, and for each record of a list or of JSON lines."""
    text = decode(source.data)
    try:
        values = list(_values(text))
    except json.JSONDecodeError as error:
        raise invalid(f"The file is not JSON: see line {error.lineno}. Mend it, or name it .txt.") from error
    except RecursionError as error:
        raise _too_deep() from error
    return joined((Piece("\n".join(lines)) for value in values for lines in _records(value)), source.limits)


def _values(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder(object_pairs_hook=_Members, parse_float=str, parse_int=str, parse_constant=str)
    place, end = 0, len(text)
    while (place := _skip(text, place)) < end:
        value, place = decoder.raw_decode(text, place)
        yield value


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\n\r\x1e\ufeff":
        place += 1
    return place


class _Members(list[tuple[str, Any]]):
    """An object, a name that comes twice included."""


def _records(value: Any) -> Iterator[list[str]]:  # noqa: ANN401  whatever JSON can say
    """Lines that belong together, few enough for a paragraph."""
    if isinstance(value, _Members):
        groups = [(name, member) for name, member in value]
    elif isinstance(value, list):
        groups = [(f"[{place}]", member) for place, member in enumerate(value)]
    else:
        groups = [("", value)]
    lines: list[str] = []
    for path, member in groups:
        found = list(_lines(path, member, 1))
        if lines and (len(found) > 1 or len(lines) + len(found) > RECORD_LINES):
            yield lines
            lines = []
        lines += found
        if len(found) > 1:
            yield lines
            lines = []
    yield lines


def _lines(path: str, value: Any, depth: int) -> Iterator[str]:  # noqa: ANN401  see `_records`
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, list) and not value:
        yield f"{path}: {'{}' if isinstance(value, _Members) else '[]'}"
    elif isinstance(value, _Members):
        for name, member in value:
            yield from _lines(f"{path}.{name}" if path else name, member, depth + 1)
    elif isinstance(value, list):
        for place, member in enumerate(value):
            yield from _lines(f"{path}[{place}]", member, depth + 1)
    else:
        said = {True: "true", False: "false", None: "null"}.get(value, value) if not isinstance(value, str) else value
        yield f"{path}: {said}" if path else str(said)


def _too_deep() -> Exception:
    return invalid(f"The JSON is nested more than {MAX_DEPTH} deep. Flatten it.")
