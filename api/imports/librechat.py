"""LibreChat's JSON export of a conversation, flat or nested; or a list or an archive of such exports."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from api.imports import archive, fields, json_exports
from api.imports.records import Export, Unfit
from api.imports.trees import Draft, Frame

SOURCE = "librechat"
DOCUMENTS = re.compile(r".*\.json", re.IGNORECASE | re.DOTALL)
NO_PARENT = "00000000-0000-0000-0000-000000000000"
AMONG_MACHINES = {"think": "the model's reasoning", "tool_call": "a call to a tool", "error": "an error message"}


def create(path: Path) -> Export:
    """Open an export, or an archive of several.

    Raises:
        BadRequest: it cannot be read.
    """
    parts = archive.parts(path, DOCUMENTS, "JSON files: LibreChat writes one for each conversation")
    return Export(SOURCE, names_people=False, records=json_exports.records(parts, _conversation))


def _conversation(value: Mapping[str, Any]) -> tuple[Frame, Iterator[Draft]]:
    messages = _messages(value)
    return _frame(value, messages), (_draft(*found) for found in _flat(messages))


def _messages(value: Mapping[str, Any]) -> list[Any]:
    for key in ("messagesTree", "messages"):
        found = value.get(key)
        if isinstance(found, dict):  # the tree under one empty root
            found = found.get("children")
        if isinstance(found, list):
            return found
    raise Unfit("it has no messages")


def _frame(value: Mapping[str, Any], messages: list[Any]) -> Frame:
    return Frame(
        external_id=fields.identifier(value.get("conversationId")),
        owner_external_id=None,
        title=fields.title(value.get("title")),
        created_at=fields.moment(value.get("createdAt")),
        updated_at=fields.moment(value.get("updatedAt")) or _last_change(messages),
        archived=value.get("isArchived") is True,
        current=None,
    )


def _last_change(messages: list[Any]) -> datetime | None:
    times = [fields.moment(message.get("updatedAt")) for message, _ in _flat(messages)]
    return max((time for time in times if time), default=None)


def _flat(messages: list[Any]) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Every message with its parent's id; nesting goes before `parentMessageId`."""
    waiting: list[tuple[Any, str | None]] = [(message, None) for message in reversed(messages)]
    while waiting:
        message, above = waiting.pop()
        if not isinstance(message, dict):
            continue
        parent = above or fields.message_key(message.get("parentMessageId"))
        parent = None if parent == NO_PARENT else parent
        yield message, parent
        children = fields.items(message.get("children"))
        waiting += [(child, _id(message, parent)) for child in reversed(children)]


def _id(message: Mapping[str, Any], parent: str | None) -> str:
    """The message's id; one that has none gets the same at every import."""
    given = fields.message_key(message.get("messageId"))
    return given or fields.derived_identifier(parent or "", *_texts(message)[0])


def _draft(message: Mapping[str, Any], parent: str | None) -> Draft:
    texts, dropped_parts, without = _texts(message)
    by_person = message.get("isCreatedByUser")
    if not isinstance(by_person, bool):
        by_person = str(message.get("sender", "")).lower() == "user"
    if files := fields.items(message.get("files")):
        without += (f"{len(files)} attached: files are not moved",)
    dropped = "an error message" if message.get("error") is True else None
    if dropped is None and not texts and not without:
        dropped = dropped_parts[0] if dropped_parts else ""
    elif dropped is None:
        without += dropped_parts
    return Draft(
        _id(message, parent),
        parent,
        role="user" if by_person else "assistant",
        content=texts,
        model=None if by_person else message.get("model") or message.get("sender"),
        created_at=fields.moment(message.get("createdAt")),
        extra={"unfinished": True} if message.get("unfinished") is True else {},
        dropped=dropped,
        without=without,
    )


def _texts(message: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The texts, reasons for what only machines said, and reasons for attachments."""
    parts = message.get("content")
    if not isinstance(parts, list):
        parts = [parts] if isinstance(parts, str) else []
    texts, machines, without = [], [], []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else "text"
        if kind == "text":
            texts.append(_text(part))
        elif isinstance(kind, str) and kind in AMONG_MACHINES:
            machines.append(AMONG_MACHINES[kind])
        else:
            without.append("images, sound and files are not moved")
    kept = tuple(text for text in texts if text)
    if not kept and isinstance(message.get("text"), str) and message["text"]:
        kept = (message["text"],)
    return kept, tuple(machines), tuple(without)


def _text(part: Any) -> str:  # noqa: ANN401
    text = part.get("text") if isinstance(part, dict) else part
    if isinstance(text, dict):  # the form of OpenAI's assistants
        text = text.get("value")
    return text if isinstance(text, str) else ""
