"""ChatGPT's export: the archive that OpenAI sends, or one `conversations.json` of it.

What people and the assistant said is taken, with all branches. What only machines said to each other (system messages,
calls to tools and their results, reasoning, custom instructions) is left out, and so are images and files.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api.imports import archive, fields, json_exports
from api.imports.records import Export, Unfit
from api.imports.trees import Draft, Frame

SOURCE = "chatgpt"
CONVERSATIONS = re.compile(r"(?:.*/)?conversations(?:-\d{1,6})?\.json")
"""One file, or numbered ones in the exports of long histories."""
AMONG_MACHINES = {
    "thoughts": "the model's reasoning",
    "reasoning_recap": "the model's reasoning",
    "user_editable_context": "custom instructions, not a message",
    "model_editable_context": "the model's memory, not a message",
}
WRITTEN = ("text", "multimodal_text")
OTHER_AUTHORS = {"system": "a system message", "tool": "a tool's result"}
KNOWN_TYPE = re.compile(r"[a-z0-9_]{1,40}")
TICKS = re.compile("`+")


def create(path: Path) -> Export:
    """Open an export.

    Raises:
        BadRequest: it is none.
    """
    parts = archive.parts(path, CONVERSATIONS, "conversations.json: is it the archive that ChatGPT sent?")
    return Export(SOURCE, names_people=False, records=json_exports.records(parts, _conversation))


def _conversation(value: Mapping[str, Any]) -> tuple[Frame, Iterator[Draft]]:
    if not isinstance(value.get("mapping"), dict):
        raise Unfit("it has no tree of messages")
    return _frame(value), _drafts(value["mapping"])


def _frame(value: Mapping[str, Any]) -> Frame:
    return Frame(
        external_id=_id(value),
        owner_external_id=None,
        title=fields.title(value.get("title")),
        created_at=fields.moment(value.get("create_time")),
        updated_at=fields.moment(value.get("update_time")),
        archived=value.get("is_archived") is True,
        current=fields.message_key(value.get("current_node")),
    )


def _id(value: Mapping[str, Any]) -> str:
    """The conversation's id; the first exports gave it none, but its root has one."""
    given = value.get("conversation_id") or value.get("id")
    if given is None:
        roots = (key for key, node in value["mapping"].items() if isinstance(node, dict) and not node.get("parent"))
        given = next(roots, None)
    return fields.identifier(given)


def _drafts(mapping: Mapping[str, Any]) -> Iterator[Draft]:
    nodes = {fields.message_key(key) or "empty": fields.mapping(node) for key, node in mapping.items()}
    told = {
        fields.message_key(child): key for key, node in nodes.items() for child in fields.items(node.get("children"))
    }
    for key, node in nodes.items():
        yield _draft(key, fields.message_key(node.get("parent")) or told.get(key), node.get("message"))


def _draft(external_id: str, parent: str | None, message: Any) -> Draft:  # noqa: ANN401  any JSON
    if not isinstance(message, dict):
        return Draft(external_id, parent, dropped="")
    content = fields.mapping(message.get("content"))
    metadata = fields.mapping(message.get("metadata"))
    role = fields.mapping(message.get("author")).get("role")
    texts, without = _texts(content)
    without += _attachments(metadata)
    dropped = _why_not(message, role)
    if dropped is None and not texts and not without:
        dropped = "" if not content or content.get("content_type") in WRITTEN else _unknown(content)
    return Draft(
        external_id,
        parent,
        role=str(role),
        content=texts,
        model=metadata.get("model_slug") if role == "assistant" else None,
        created_at=fields.moment(message.get("create_time")),
        dropped="" if dropped and not texts and content.get("content_type") == "text" else dropped,
        without=without,
    )


def _why_not(message: Mapping[str, Any], role: Any) -> str | None:  # noqa: ANN401
    """Why a message is not for people; None when it is."""
    kind = fields.mapping(message.get("content")).get("content_type")
    if isinstance(kind, str) and kind in AMONG_MACHINES:
        return AMONG_MACHINES[kind]
    if fields.mapping(message.get("metadata")).get("is_visually_hidden_from_conversation") is True:
        return "ChatGPT did not show it"
    if role not in ("user", "assistant"):
        return OTHER_AUTHORS.get(str(role), "its author's role is not known")
    if role == "assistant" and message.get("recipient") not in (None, "all"):
        return "a call to a tool"
    return "the model's reasoning" if message.get("channel") == "analysis" else None


def _texts(content: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The texts of a message, and reasons for the parts that are none."""
    code = content.get("text")
    if content.get("content_type") == "code" and isinstance(code, str) and code:
        return (_fenced(code, content.get("language")),), ()
    parts = content.get("parts")
    if not isinstance(parts, list):
        parts = [content.get("text")]
    texts, without = [], []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):  # what was said, written down
            texts.append(part["text"])
        elif isinstance(part, dict):
            without.append(f"{_kind(part)}: images, sound and files are not moved")
    return tuple(text for text in texts if text), tuple(without)


def _attachments(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    count = len(fields.items(metadata.get("attachments")))
    return (f"{count} attached: files are not moved",) if count else ()


def _fenced(code: str, language: Any) -> str:  # noqa: ANN401
    """Code as Markdown shows it, between more ticks than stand in it."""
    longest = max((len(ticks) for ticks in TICKS.findall(code)), default=0)
    fence = "`" * max(3, longest + 1)
    known = isinstance(language, str) and KNOWN_TYPE.fullmatch(language) and language != "unknown"
    return f"{fence}{language if known else ''}\n{code}\n{fence}"


def _unknown(content: Mapping[str, Any]) -> str:
    return f"content of the type {_kind(content)} is not known"


def _kind(value: Mapping[str, Any]) -> str:
    kind = value.get("content_type")
    return kind if isinstance(kind, str) and KNOWN_TYPE.fullmatch(kind) else "of no name"
