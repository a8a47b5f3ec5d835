"""Open WebUI's database `webui.db`: people with their passwords' hashes, and their conversations with all branches.

Older and newer schemas are read alike: a column that is missing reads as empty. The file itself is read by
`api.imports.sqlite`.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from api.imports import fields, json_reader
from api.imports.records import ROLES, Export, ImportedUser, Record, Skipped, Unfit
from api.imports.sqlite import Reader, Row
from api.imports.trees import MOST_MESSAGES, Draft, Frame, grown
from configs.errors import BadRequest

SOURCE = "open-webui"
READ = {"user", "auth", "chat", "chat_message"}
BOOKKEEPING = {"alembic_version", "migratehistory"}
USER = ("id", "email", "name", "role", "created_at", "timestamp")
AUTH = ("password", "active")
CHAT = ("id", "user_id", "title", "chat", "created_at", "updated_at", "timestamp", "archived", "meta")
MESSAGE = ("id", "parent_id", "role", "content", "model_id", "created_at")
NOT_ADMITTED = "pending"
SHARED = "shared-"
"""To share a conversation, older versions copied it to an owner whose name begins so."""


def create(path: Path) -> Export:
    """Open a database.

    Raises:
        BadRequest: it is none of Open WebUI's, or changes to it stand in a file beside it.
    """
    reader = Reader(path)
    missing = {"user", "chat"} - reader.tables.keys()
    if missing:
        reader.close()
        raise BadRequest(f"{str(path)!r} has no table {min(missing)!r}: is it the webui.db of Open WebUI?")
    return Export(SOURCE, names_people=True, records=_records(reader))


def _records(reader: Reader) -> Iterator[Record]:
    with closing(reader):
        for row in reader.each("user", USER):
            yield row if isinstance(row, Skipped) else _user(reader, row)
        for row in reader.each("chat", CHAT):
            if isinstance(row, Skipped):
                yield row
            else:
                yield from _conversation(reader, row)
        for table in sorted(reader.tables.keys() - READ - BOOKKEEPING):
            if count := reader.count(table):
                yield Skipped("table", fields.shown(table), f"{count} rows of a kind that is not moved")


def _user(reader: Reader, row: Row) -> Record:
    if row["role"] == NOT_ADMITTED:
        return Skipped("user", fields.shown(row["id"]), "no administrator had admitted this person")
    try:
        external_id = fields.identifier(row["id"])
        auth = reader.first("auth", AUTH, "id", external_id) or dict.fromkeys(AUTH)
        return ImportedUser(
            external_id=external_id,
            email=fields.email(row["email"]),
            name=fields.name(row["name"]) or "",
            password_hash=fields.bcrypt_hash(auth["password"]),
            role=fields.name(row["role"]) or "",
            active=auth["active"] != 0,
            created_at=fields.moment(row["created_at"] or row["timestamp"]),
        )
    except Unfit as unfit:
        return Skipped("user", fields.shown(row["id"]), unfit.why)


def _conversation(reader: Reader, row: Row) -> Iterator[Record]:
    try:
        _refuse_copies(row)
        chat = _json(row["chat"])
        history = fields.mapping(chat.get("history"))
        frame = _frame(row, chat, history)
        messages = _with_rows(_messages(chat, history), reader, frame.external_id)
        conversation, notes = grown(frame, _drafts(messages))
    except Unfit as unfit:
        yield Skipped("conversation", fields.shown(row["id"]), unfit.why)
        return
    yield conversation
    yield from notes


def _refuse_copies(row: Row) -> None:
    if str(row["user_id"]).startswith(SHARED):
        raise Unfit("a copy that was made to share it; the original is moved")
    if _is_internal(row["meta"]):
        raise Unfit("Open WebUI made it for itself")


def _frame(row: Row, chat: Mapping[str, Any], history: Mapping[str, Any]) -> Frame:
    return Frame(
        external_id=fields.identifier(row["id"]),
        owner_external_id=fields.identifier(row["user_id"]),
        title=fields.title(row["title"]) or fields.title(chat.get("title")),
        created_at=fields.moment(row["created_at"] or row["timestamp"]),
        updated_at=fields.moment(row["updated_at"]),
        archived=row["archived"] not in {None, 0, "0", "false"},
        current=fields.message_key(history.get("currentId")),
    )


def _json(text: Any) -> Mapping[str, Any]:  # noqa: ANN401  any column
    """The object in a column of JSON; the oldest schema wrote it as a text within a text."""
    for _ in range(2):
        if not isinstance(text, str):
            break
        text = json_reader.parsed(text.encode("utf-8", "surrogatepass"))
    return fields.mapping(text)


def _messages(chat: Mapping[str, Any], history: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The messages by id. Where there is no tree, the list of the shown ones is a chain."""
    tree = history.get("messages")
    if isinstance(tree, dict) and tree:
        return {fields.message_key(key) or "empty": fields.mapping(message) for key, message in tree.items()}
    chain: dict[str, Mapping[str, Any]] = {}
    before = None
    for position, message in enumerate(fields.items(chat.get("messages"))):
        if isinstance(message, dict):
            key = fields.message_key(message.get("id")) or str(position)
            chain.setdefault(key, {"parentId": before, **message})
            before = key
    return chain


def _with_rows(messages: dict[str, Mapping[str, Any]], reader: Reader, chat_id: str) -> dict[str, Mapping[str, Any]]:
    """Add what only the table of messages has, in newer versions; what the tree has was shown, and stands."""
    for row in reader.matching("chat_message", MESSAGE, "chat_id", chat_id, most=MOST_MESSAGES):
        key = fields.message_key(str(row["id"]).removeprefix(f"{chat_id}-"))
        if key is not None and key not in messages:
            messages[key] = {
                "parentId": row["parent_id"],
                "role": row["role"],
                "content": _value(row["content"]),
                "model": row["model_id"],
                "timestamp": row["created_at"],
            }
    return messages


def _drafts(messages: Mapping[str, Mapping[str, Any]]) -> Iterator[Draft]:
    told = {
        fields.message_key(child): key
        for key, message in messages.items()
        for child in fields.items(message.get("childrenIds"))
    }
    for key, message in messages.items():
        yield _draft(key, fields.message_key(message.get("parentId")) or told.get(key), message)


def _draft(external_id: str, parent: str | None, message: Mapping[str, Any]) -> Draft:
    role = message.get("role")
    texts, without = _texts(message.get("content"))
    if files := fields.items(message.get("files")):
        without += (f"{len(files)} attached: files are not moved",)
    dropped = None
    if not isinstance(role, str) or role not in ROLES:
        dropped = "its author's role is not known"
    elif not texts and not without:
        dropped = "an error message" if message.get("error") else ""
    return Draft(
        external_id,
        parent,
        role=str(role),
        content=texts,
        model=message.get("model") if role == "assistant" else None,
        created_at=fields.moment(message.get("timestamp")),
        extra={"unfinished": True} if message.get("done") is False else {},
        dropped=dropped,
        without=without,
    )


def _texts(content: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:  # noqa: ANN401  any JSON
    """The texts of a message, and reasons for the parts that are none."""
    texts, without = [], []
    for part in content if isinstance(content, list) else [content]:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
        elif part is not None:
            without.append("images, sound and files are not moved")
    return tuple(text for text in texts if text), tuple(without)


def _is_internal(meta: Any) -> bool:  # noqa: ANN401
    try:
        return _json(meta).get("internal") is True
    except Unfit:  # what stands there besides has no counterpart here
        return False


def _value(text: Any) -> Any:  # noqa: ANN401
    """A column of JSON, of any type."""
    return json_reader.parsed(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else None
