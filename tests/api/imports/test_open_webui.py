import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.imports import open_webui, sqlite
from configs.errors import BadRequest
from tests.api.imports import written
from tests.api.imports.folders import a_folder
from tests.api.imports.written import (
    BCRYPT,
    START,
    Chat,
    Said,
    change,
    conversations,
    kept,
    read,
    sorted_out,
    spoiled,
    webui_db,
)

TALK = [
    Said("q", None, "user", "Question?"),
    Said("a", "q", "assistant", "Answer."),
    Said("b", "q", "assistant", "Other."),
]
CHAT = Chat("c1", "u1", written.open_webui(TALK))


def of(path: Path) -> Any:
    return sorted_out(open_webui.create(path))


@settings(deadline=None)
@given(conversations())
def test_every_branch_and_every_text_is_taken(said: list[Said]) -> None:
    with a_folder() as folder:
        _, (conversation,), skipped = of(webui_db(folder / "w.db", [Chat("c", "u", written.open_webui(said))]))
    assert read(conversation) == kept(said)
    assert conversation.current_message_external_id == said[-1].id
    assert {what for what, _, _ in skipped} <= {"characters"}


def test_people(tmp_path: Path) -> None:
    users = [
        ("u1", "Ann", "Ann@example.com", "admin", START),
        ("u2", "Bob", "bob@example.com", "user", START * 10**9),
        ("u3", "New", "new@example.com", "pending", START),
        ("u4", "Off", "off@example.com", "user", None),
        ("u5", "Odd", "nobody", "user", START),
    ]
    auth = [("u1", "", BCRYPT, 1), ("u2", "", "$argon2id$x", 1), ("u4", "", BCRYPT, 0)]
    export = open_webui.create(webui_db(tmp_path / "w.db", users=users, auth=auth))
    assert (export.source, export.names_people) == ("open-webui", True)
    found, _, skipped = sorted_out(export)
    assert [(each.external_id, each.email, each.name, each.role) for each in found] == [
        ("u1", "ann@example.com", "Ann", "admin"),
        ("u2", "bob@example.com", "Bob", "user"),
        ("u4", "off@example.com", "Off", "user"),
    ]  # fmt: skip
    assert [each.password_hash for each in found] == [BCRYPT, None, BCRYPT]
    assert [each.active for each in found] == [True, True, False]
    assert [each.created_at and each.created_at.timestamp() for each in found] == [START, START, None]
    assert skipped == [
        ("user", "u3", "no administrator had admitted this person"), ("user", "u5", "its e-mail address is none"),
    ]  # fmt: skip


def test_a_conversation(tmp_path: Path) -> None:
    chat = Chat("c1", "u1", written.open_webui(TALK), "Named", START * 1000, (START + 5) * 10**9, archived=1)
    _, (conversation,), skipped = of(webui_db(tmp_path / "w.db", [chat]))
    assert skipped == []
    assert (conversation.external_id, conversation.owner_external_id, conversation.title) == ("c1", "u1", "Named")
    assert conversation.archived
    assert conversation.created_at is not None
    assert conversation.updated_at is not None
    assert (conversation.created_at.timestamp(), conversation.updated_at.timestamp()) == (START, START + 5)
    assert [each.model for each in conversation.messages] == [None, "llama3.1:latest", "llama3.1:latest"]


def test_copies_and_internal_ones_are_skipped(tmp_path: Path) -> None:
    chats = [
        Chat("c1", "shared-c0", CHAT.chat),
        Chat("c2", "u1", CHAT.chat, meta='{"internal": true}'),
        Chat("c3", "u1", CHAT.chat, meta="{broken"),
    ]
    _, found, skipped = of(webui_db(tmp_path / "w.db", chats))
    assert [each.external_id for each in found] == ["c3"]
    assert skipped == [
        ("conversation", "c1", "a copy that was made to share it; the original is moved"),
        ("conversation", "c2", "Open WebUI made it for itself"),
    ]


def test_the_oldest_schema(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    listed = [{"role": "user", "content": "One."}, {"id": "x", "role": "assistant", "content": "Two."}]
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE user (id, name, email, role, timestamp)")
        database.execute("CREATE TABLE chat (id, user_id, title, chat, timestamp)")
        database.execute("INSERT INTO user VALUES ('u', 'Ann', 'ann@example.com', 'user', ?)", (START,))
        row = ("c", "u", "", json.dumps(json.dumps({"title": "Inner", "messages": listed})), START)
        database.execute("INSERT INTO chat VALUES (?, ?, ?, ?, ?)", row)
        database.commit()
    (user,), (conversation,), _ = of(path)
    assert (user.password_hash, user.active, user.created_at == conversation.created_at) == (None, True, True)
    assert conversation.title == "Inner"
    assert read(conversation) == {"0": (None, "user", "One."), "x": ("0", "assistant", "Two.")}


def test_messages_that_only_the_newer_table_has(tmp_path: Path) -> None:
    path = webui_db(tmp_path / "w.db", [CHAT, Chat("c2", "u1", {"title": "t", "history": {}})])
    change(
        path,
        "CREATE TABLE chat_message (id, chat_id, parent_id, role, content, model_id, created_at)",
        """INSERT INTO chat_message VALUES ('c1-q', 'c1', NULL, 'user', '"older"', NULL, 1)""",
        """INSERT INTO chat_message VALUES ('c1-d', 'c1', 'b', 'user', '[{"text": "More."}]', NULL, 1)""",
        """INSERT INTO chat_message VALUES ('c2-x', 'c2', NULL, 'assistant', '"Alone."', 'm', 1)""",
    )
    _, (first, second), _ = of(path)
    assert read(first) == kept([*TALK, Said("d", "b", "user", "More.")])
    assert read(second) == {"x": (None, "assistant", "Alone.")}
    assert second.messages[0].model == "m"


def test_attachments_errors_and_roles(tmp_path: Path) -> None:
    value = written.open_webui([*TALK, Said("s", "a", "system", "Be kind."), Said("x", "s", "critic", "?")])
    messages = value["history"]["messages"]
    messages["q"] |= {
        "content": [{"type": "text", "text": "See:"}, {"type": "image_url", "image_url": {}}], "files": [{"name": "a"}],
    }  # fmt: skip
    messages["a"] |= {"content": "", "error": {"content": "no"}}
    messages["b"] |= {"done": False}
    _, (conversation,), skipped = of(webui_db(tmp_path / "w.db", [Chat("c", "u", value)]))
    assert read(conversation) == {
        "q": (None, "user", "See:"), "b": ("q", "assistant", "Other."), "s": ("q", "system", "Be kind."),
    }  # fmt: skip
    assert dict(conversation.messages[1].extra) == {"unfinished": True}
    assert conversation.current_message_external_id == "s"
    assert sorted(skipped) == [
        ("attachment", "c/q", "1 attached: files are not moved"),
        ("attachment", "c/q", "images, sound and files are not moved"),
        ("message", "c/a", "an error message"),
        ("message", "c/x", "its author's role is not known"),
    ]


def test_other_tables_are_counted(tmp_path: Path) -> None:
    path = webui_db(tmp_path / "w.db", [CHAT])
    change(
        path,
        "CREATE TABLE folder (id)",
        "INSERT INTO folder VALUES (1), (2)",
        'CREATE TABLE "we""ird" (id)',
        "CREATE TABLE tag (id)",
    )
    change(path, 'INSERT INTO "we""ird" VALUES (1)')
    _, _, skipped = of(path)
    assert skipped == [
        ("table", "folder", "2 rows of a kind that is not moved"),
        ("table", 'we"ird', "1 rows of a kind that is not moved"),
    ]


def test_one_bad_row_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LARGEST_VALUE", 5000)
    monkeypatch.setattr(sqlite, "PAGE_ROWS", 2)
    chats = [
        Chat("c0", "u", b"\xff\xfe"), Chat("c2", "u", "{"), Chat("c3", "u", "[]"), Chat("c4", "u", None),
        Chat("\x1b", "u", "{}"), Chat("c5", "u", "x" * 6000), CHAT,
    ]  # fmt: skip
    _, found, skipped = of(webui_db(tmp_path / "w.db", chats))
    assert [each.external_id for each in found] == ["c1"]
    assert [name for _, name, _ in skipped] == ["c0", "c2", "c3", "c4", "(no printable name)", "chat 6"]


def test_texts_that_are_no_utf8_are_mended(tmp_path: Path) -> None:
    path = webui_db(tmp_path / "w.db", [CHAT, Chat("c2", "u", CHAT.chat)])
    change(path, "UPDATE chat SET title = CAST(x'41ff42' AS TEXT) WHERE id = 'c1'")
    change(path, """UPDATE chat SET chat = CAST(x'7b2261223a22ff227d' AS TEXT) WHERE id = 'c2'""")
    _, (conversation,), skipped = of(path)
    assert conversation.title == "A\ufffdB"
    assert skipped == [("conversation", "c2", "it is no valid JSON")]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW chat AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id FROM n) SELECT * FROM n",
        "CREATE VIRTUAL TABLE chat USING fts5(id, user_id, title)",
    ],
)
def test_only_real_tables_are_read(tmp_path: Path, statement: str) -> None:
    path = webui_db(tmp_path / "w.db", [CHAT])
    change(path, "DROP TABLE chat", statement)
    with pytest.raises(BadRequest, match="has no table 'chat'"):
        open_webui.create(path)


def test_a_query_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "STEPS", 100)
    monkeypatch.setattr(sqlite, "MOST_STEPS", 50)
    path = webui_db(tmp_path / "w.db", [CHAT])
    change(
        path,
        "CREATE TABLE log (id)",
        "INSERT INTO log SELECT value FROM json_each('[' || substr(replace(hex(zeroblob(9999)), '0', ',1'), 2) || ']')",
    )
    change(path, "CREATE TABLE chat_message (id, chat_id, parent_id, role, content, model_id, created_at)")
    change(path, "INSERT INTO chat_message SELECT id, 'other', NULL, 'user', NULL, NULL, 1 FROM log")
    _, _, skipped = of(path)
    assert skipped == [
        ("conversation", "c1", "it takes too long to read"), ("table", "log", "19998 rows of a kind that is not moved"),
    ]  # fmt: skip


def test_a_damaged_file_gives_what_can_be_read(tmp_path: Path) -> None:
    chats = [Chat(f"c{index:03}", "u", written.open_webui(TALK)) for index in range(200)]
    path = webui_db(tmp_path / "w.db", chats)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\xff"))
    _, found, skipped = of(path)
    assert 0 < len(found) < 200
    assert skipped


@settings(deadline=None)
@given(st.data())
def test_no_content_breaks_the_reading(data: st.DataObject) -> None:
    value = data.draw(spoiled(written.open_webui(TALK)))
    cell = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()
    names = ("user_id", "chat", "title", "created_at", "updated_at", "archived", "meta")
    odd = Chat(id="c0", **dict[str, Any]({name: data.draw(cell) for name in names}))
    user = ("u", *(data.draw(cell) for _ in range(4)))
    with a_folder() as folder:
        path = webui_db(
            folder / "w.db", [Chat("c", "u", value), odd, CHAT], [user], [("u", *(data.draw(cell) for _ in range(3)))]
        )
        _, found, _ = of(path)
    assert kept(TALK) == read(found[-1])


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    with pytest.raises(BadRequest, match="cannot be read"):
        open_webui.create(path)
    path.write_bytes(b"nothing")
    with pytest.raises(BadRequest, match="no SQLite database"):
        open_webui.create(path)
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(BadRequest, match="damaged or encrypted"):
        open_webui.create(path)


def test_changes_beside_the_file_are_not_missed(tmp_path: Path) -> None:
    path = webui_db(tmp_path / "w.db", [CHAT])
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE chat SET title = 'New'")
        database.commit()
        with pytest.raises(BadRequest, match=r"w\.db-wal"):
            open_webui.create(path)
    _, (conversation,), _ = of(path)
    assert conversation.title == "New"


def test_nothing_is_written(tmp_path: Path) -> None:
    path = webui_db(tmp_path / "w.db", [CHAT])
    before = path.read_bytes()
    of(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
