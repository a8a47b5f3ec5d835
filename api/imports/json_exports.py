"""Exports that are JSON: from files full of conversations to records. What a conversation looks like it is told."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from api.imports import fields, json_reader
from api.imports.archive import Part
from api.imports.records import Record, Skipped, Unfit
from api.imports.trees import Draft, Frame, grown

NAMES_OF_THE_ID = ("conversation_id", "conversationId", "id")
Reading = Callable[[Mapping[str, Any]], tuple[Frame, Iterable[Draft]]]
"""Takes a conversation apart. Raises Unfit when it is none."""


def records(parts: Iterator[Part | Skipped], reading: Reading) -> Iterator[Record]:
    """Every conversation of the files, with what was left out of it."""
    for part in parts:
        if isinstance(part, Skipped):
            yield part
            continue
        try:
            for position, data in enumerate(json_reader.elements(part.read)):
                yield from _conversation(f"{part.name}[{position}]", data, reading)
        except json_reader.Damaged:
            yield Skipped("file", part.name, "it is damaged or no list of conversations; what came before was read")
        except Unfit as unfit:
            yield Skipped("file", part.name, unfit.why)


def _conversation(place: str, data: bytes | None, reading: Reading) -> Iterator[Record]:
    name = place
    try:
        value = _object(data)
        name = fields.shown(next((value[key] for key in NAMES_OF_THE_ID if value.get(key)), place))
        conversation, notes = grown(*reading(value))
    except Unfit as unfit:
        yield Skipped("conversation", name, unfit.why)
        return
    yield conversation
    yield from notes


def _object(data: bytes | None) -> Mapping[str, Any]:
    if data is None:
        raise Unfit(json_reader.too_large())
    value = json_reader.parsed(data)
    if not isinstance(value, dict):
        raise Unfit("it is no conversation")
    return value
