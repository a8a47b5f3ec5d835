"""Exports as the other programs write them, made of a conversation that a test knows."""

import json
import sqlite3
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from api.imports.records import Export, ImportedConversation, ImportedUser, Skipped

BCRYPT = "$2b$12$" + "a" * 53
START = 1_700_000_000
SCHEMA = """
CREATE TABLE user (id VARCHAR PRIMARY KEY, name VARCHAR, email VARCHAR, role VARCHAR, created_at BIGINT);
CREATE TABLE auth (id VARCHAR PRIMARY KEY, email VARCHAR, password TEXT, active BOOLEAN);
CREATE TABLE chat (id VARCHAR PRIMARY KEY, user_id VARCHAR, title TEXT, chat JSON, created_at BIGINT,
                   updated_at BIGINT, archived BOOLEAN, pinned BOOLEAN, meta JSON, folder_id TEXT);
CREATE TABLE alembic_version (version_num VARCHAR);
INSERT INTO alembic_version VALUES ('1');
"""


@dataclass(frozen=True)
class Said:
    """A message of a test's conversation; its time follows from its place."""

    id: str
    parent: str | None
    role: str
    text: str


@st.composite
def conversations(draw: st.DrawFn, texts: st.SearchStrategy[str] | None = None) -> list[Said]:
    """A tree of one to twelve messages with any text."""
    count = draw(st.integers(1, 12))
    made: list[Said] = []
    for index in range(count):
        parent = draw(st.one_of(st.none(), st.sampled_from(made))) if made else None
        text = draw(texts or st.text(min_size=1))
        made.append(
            Said(f"m{index}", parent.id if parent else None, draw(st.sampled_from(["user", "assistant"])), text)
        )
    return made


def children(said: Sequence[Said], parent: str | None) -> list[Said]:
    return [each for each in said if each.parent == parent]


def chatgpt(said: Sequence[Said], conversation_id: str = "c1", **more: Any) -> dict[str, Any]:
    """One conversation of `conversations.json`, below the empty root that ChatGPT writes."""
    mapping: dict[str, Any] = {
        "root": {"id": "root", "message": None, "parent": None, "children": [each.id for each in children(said, None)]}
    }
    for index, each in enumerate(said):
        mapping[each.id] = {
            "id": each.id,
            "parent": each.parent or "root",
            "children": [child.id for child in children(said, each.id)],
            "message": {
                "id": each.id,
                "author": {"role": each.role, "name": None, "metadata": {}},
                "create_time": START + index + 0.5,
                "content": {"content_type": "text", "parts": [each.text]},
                "status": "finished_successfully",
                "metadata": {"model_slug": "gpt-4o"} if each.role == "assistant" else {},
                "recipient": "all",
            },
        }
    return {
        "title": "A title",
        "create_time": float(START),
        "update_time": START + 100.0,
        "mapping": mapping,
        "current_node": said[-1].id,
        "conversation_id": conversation_id,
        "is_archived": False,
        "id": conversation_id,
        **more,
    }


def librechat(said: Sequence[Said], conversation_id: str = "c1", *, nested: bool = False) -> dict[str, Any]:
    """LibreChat's export of one conversation."""
    made: dict[str, dict[str, Any]] = {
        each.id: {
            "messageId": each.id,
            "conversationId": conversation_id,
            "createdAt": f"2024-05-28T18:08:{index:02}.014Z",
            "updatedAt": "2024-05-28T19:00:00.000Z",
            "error": False,
            "isCreatedByUser": each.role == "user",
            "model": None if each.role == "user" else "gpt-4o",
            "parentMessageId": each.parent or "00000000-0000-0000-0000-000000000000",
            "sender": "User" if each.role == "user" else "GPT-4",
            "text": each.text,
            "unfinished": False,
        }
        for index, each in enumerate(said)
    }
    top: dict[str, Any] = {"conversationId": conversation_id, "endpoint": "openAI", "title": "A title"}
    if not nested:
        return {**top, "branches": True, "recursive": False, "messages": list(made.values())}
    for each in said:
        made[each.id]["children"] = [made[child.id] for child in children(said, each.id)]
    return {**top, "recursive": True, "messagesTree": [made[each.id] for each in children(said, None)]}


def open_webui(said: Sequence[Said]) -> dict[str, Any]:
    """The column `chat` of Open WebUI's table of that name."""
    messages = {
        each.id: {
            "id": each.id,
            "parentId": each.parent,
            "childrenIds": [child.id for child in children(said, each.id)],
            "role": each.role,
            "content": each.text,
            "timestamp": START + index,
            **({"model": "llama3.1:latest", "done": True} if each.role == "assistant" else {"models": ["x"]}),
        }
        for index, each in enumerate(said)
    }
    return {"title": "A title", "models": ["x"], "history": {"messages": messages, "currentId": said[-1].id}}


@dataclass(frozen=True)
class Chat:
    """A row of Open WebUI's table `chat`."""

    id: str
    user_id: str
    chat: Any
    title: Any = "A title"
    created_at: Any = START
    updated_at: Any = START + 100
    archived: Any = 0
    meta: Any = "{}"


def webui_db(
    path: Path, chats: Iterable[Chat] = (), users: Iterable[tuple[Any, ...]] = (), auth: Iterable[tuple[Any, ...]] = ()
) -> Path:
    """A database: `users` are (id, name, email, role, created_at), `auth` (id, email, password, active)."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(SCHEMA)
        database.executemany("INSERT INTO user VALUES (?, ?, ?, ?, ?)", users)
        database.executemany("INSERT INTO auth VALUES (?, ?, ?, ?)", auth)
        rows = [
            (each.id, each.user_id, each.title, as_column(each.chat), each.created_at, each.updated_at, each.archived,
             0, each.meta, None)
            for each in chats
        ]  # fmt: skip
        database.executemany("INSERT INTO chat VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.commit()
    return path


def as_column(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def change(path: Path, *statements: str) -> None:
    """Run SQL in a database."""
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def zipped(path: Path, files: dict[str, Any]) -> Path:
    """An archive of JSON, or of bytes as they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in files.items():
            archive.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return path


def kept(said: Sequence[Said]) -> dict[str, tuple[str | None, str, str]]:
    """What must come out of it: parent, role and text by id."""
    return {each.id: (each.parent, each.role, each.text.replace("\0", "\ufffd")) for each in said}


def read(conversation: ImportedConversation) -> dict[str, tuple[str | None, str, str]]:
    """What came out, in the form of `kept`; it is checked to be a tree on the way."""
    seen: set[str | None] = {None}
    for message in conversation.messages:
        assert message.parent_external_id in seen
        seen.add(message.external_id)
    return {
        message.external_id: (message.parent_external_id, message.role, "".join(message.content))
        for message in conversation.messages
    }


def sorted_out(export: Export) -> tuple[list[ImportedUser], list[ImportedConversation], list[tuple[str, str, str]]]:
    """People, conversations, and what was skipped."""
    users, conversations_, skipped = [], [], []
    for record in export.records:
        match record:
            case ImportedUser():
                users.append(record)
            case ImportedConversation():
                conversations_.append(record)
            case Skipped():
                skipped.append((record.what, record.external_id, record.why))
    return users, conversations_, skipped


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


@st.composite
def spoiled(draw: st.DrawFn, value: Any) -> Any:
    """The value with some of its parts replaced by anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ANY_JSON)
    if isinstance(value, dict):
        return {key: draw(spoiled(inner)) for key, inner in value.items()}
    if isinstance(value, list):
        return [draw(spoiled(inner)) for inner in value]
    return value
