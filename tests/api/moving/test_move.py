from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.db import imports
from api.db.session import Database
from api.imports import open_webui
from api.imports.records import Record, Skipped
from api.moving.move import Wishes
from api.scope import Scope
from configs.errors import BadRequest
from configs.postgres import EmbeddedPostgres
from tests.api.imports.written import BCRYPT, Chat, Said, webui_db
from tests.api.imports.written import open_webui as tree
from tests.api.moving.arrivals import Arrivals, conversation, message, person
from tests.fixtures.database import ORGANIZATION

NOON = datetime(2024, 5, 28, 12, tzinfo=UTC)
TALK = [
    message("q", None),
    message("a", "q", "One.", "Two.", role="assistant", model="m"),
    message("b", "q", role="assistant"),
    message("r", "b"),
]


async def test_people_conversations_and_branches(arrivals: Arrivals) -> None:
    ann = person(password_hash=BCRYPT, created_at=NOON)
    report = await arrivals.move(
        [ann, conversation(*TALK, created_at=NOON, archived=True, current="a"), Skipped("x", "1", "y")]
    )
    assert report.counts() == {
        "users_added": 1, "users_unchanged": 0, "conversations_added": 1, "conversations_extended": 0,
        "conversations_unchanged": 0, "messages_added": 4,
    }  # fmt: skip
    assert [(key, group.count, group.ids) for key, group in report.skipped.items()] == [(("x", "y"), 1, ["1"])]
    assert arrivals.told == [0, 4, 4]
    people = arrivals.rows(
        "SELECT email, name, password_hash, status, email_verified_at, u.created_at, role "
        "FROM users u JOIN memberships m ON m.user_id = u.id"
    )
    assert people == [("ann@example.com", "Ann", BCRYPT, "active", None, NOON, "member")]
    assert await arrivals.conversation("c1") == {
        "title": "A title",
        "current": "a",
        "archived": True,
        "version": 1,
        "messages": {
            "q": (None, 1, 0, "user", None, "q"),
            "a": ("q", 2, 0, "assistant", "m", [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]),
            "b": ("q", 3, 1, "assistant", None, "b"),
            "r": ("b", 4, 0, "user", None, "r"),
        },
    }


async def test_a_second_run_changes_nothing(arrivals: Arrivals) -> None:
    records: list[Record] = [
        person(),
        person("u2", "bob@example.com"),
        conversation(*TALK),
        conversation(message("x", None), external_id="c2"),
    ]
    await arrivals.move(records)
    before = arrivals.state()
    report = await arrivals.move(records)
    assert arrivals.state() == before
    assert (report.users_unchanged, report.conversations_unchanged) == (2, 2)
    assert sum(report.counts().values()) == 4


async def test_what_is_new_is_added(arrivals: Arrivals) -> None:
    await arrivals.move([person(), conversation(*TALK)])
    grown = [*TALK, message("s", "r"), message("c", "q", role="assistant")]
    report = await arrivals.move([person(), conversation(*grown, current="s", updated_at=NOON)])
    assert (report.conversations_extended, report.messages_added) == (1, 2)
    found = await arrivals.conversation("c1")
    assert (found["current"], found["version"], list(found["messages"])) == ("s", 2, ["q", "a", "b", "r", "s", "c"])
    assert found["messages"]["s"] == ("r", 5, 0, "user", None, "s")
    assert found["messages"]["c"] == ("q", 6, 2, "assistant", None, "c")
    assert (await arrivals.move([person(), conversation(*grown)])).conversations_unchanged == 1


async def test_what_happened_here_meanwhile_stays(arrivals: Arrivals) -> None:
    await arrivals.move([person(), conversation(*TALK)])
    ((conversation_id, key_id, last),) = arrivals.rows("SELECT id, data_key_id, current_message_id FROM conversations")
    columns = "id, organization_id, conversation_id, parent_id, seq, branch, role, data_key_id, content"
    row = ("msg_here", ORGANIZATION, conversation_id, last, 5, 0, "user", key_id, b"sealed")
    arrivals.rows(f"INSERT INTO messages ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", *row)
    arrivals.rows("UPDATE conversations SET current_message_id = 'msg_here'")
    arrivals.rows("DELETE FROM messages WHERE role = 'assistant' AND model = 'm'")
    await arrivals.move([person(), conversation(*TALK, message("s", "r"), message("t", "a"))])
    links = arrivals.rows(
        "SELECT split_part(i.external_id, E'\\n', 2), split_part(p.external_id, E'\\n', 2), seq, branch "
        "FROM messages m JOIN imported i ON i.row_id = m.id LEFT JOIN imported p ON p.row_id = m.parent_id "
        "WHERE seq > 5 ORDER BY seq"
    )
    assert links == [("s", "r", 6, 1), ("t", "q", 7, 1)]
    assert arrivals.rows("SELECT current_message_id FROM conversations") == [("msg_here",)]


async def test_what_was_deleted_here_does_not_come_back(arrivals: Arrivals) -> None:
    await arrivals.move([person(), conversation(*TALK)])
    arrivals.rows("DELETE FROM conversations")
    report = await arrivals.move([person(), conversation(*TALK)])
    assert list(report.skipped) == [("conversation", "it was moved before, and deleted here since")]
    arrivals.rows("UPDATE users SET status = 'erased', email = NULL")
    report = await arrivals.move([person(), conversation(*TALK)])
    assert list(report.skipped) == [
        ("user", "was moved before, and has left since"), ("conversation", "its owner was not moved"),
    ]  # fmt: skip
    assert arrivals.rows("SELECT count(*) FROM users") == [(1,)]


async def test_nobody_who_is_here_is_taken_over(arrivals: Arrivals) -> None:
    arrivals.person("user_here", "ann@example.com", "another")
    report = await arrivals.move([person(password_hash=BCRYPT), conversation(*TALK)])
    (user, why), *others = report.skipped
    assert (user, "`--map ann@example.com=ann@example.com`" in why) == ("user", True)
    assert others == [("conversation", "its owner was not moved")]
    assert arrivals.rows("SELECT id, password_hash FROM users") == [("user_here", None)]
    assert arrivals.rows("SELECT count(*) FROM conversations") == [(0,)]


async def test_a_person_may_be_named_who_is_here(arrivals: Arrivals) -> None:
    arrivals.person("user_here", "new@example.com")
    records: list[Record] = [person(), conversation(*TALK)]
    wishes = Wishes(mapped={"Ann@example.com": "New@example.com"})
    assert (await arrivals.move(records, wishes)).conversations_added == 1
    assert (await arrivals.move(records, wishes)).conversations_unchanged == 1
    assert arrivals.rows("SELECT user_id FROM conversations") == [("user_here",)]


async def test_changes_of_people_are_told(arrivals: Arrivals) -> None:
    report = await arrivals.move(
        [person(role="admin"), person("u2", "off@example.com", active=False, password_hash=BCRYPT)]
    )
    assert {(what, tuple(group.ids)) for (what, _), group in report.skipped.items()} == {
        ("password", ("u1",)),
        ("role", ("u1",)),
    }
    assert arrivals.rows("SELECT email, status, role FROM users JOIN memberships ON user_id = id ORDER BY email") == [
        ("ann@example.com", "active", "member"), ("off@example.com", "disabled", "member"),
    ]  # fmt: skip


async def test_a_file_of_one_person_needs_an_owner_who_is_here(arrivals: Arrivals) -> None:
    arrivals.person("user_here", "ann@example.com")
    records = [conversation(*TALK, owner=None)]
    report = await arrivals.move(records, Wishes(to=" ANN@example.com"), people=False)
    assert report.conversations_added == 1
    assert arrivals.rows("SELECT user_id FROM conversations") == [("user_here",)]


@pytest.mark.parametrize(
    ("wishes", "people"),
    [
        (Wishes(), False),
        (Wishes(to="ann@example.com"), True),
        (Wishes(to="ann@example.com", mapped={"a": "b"}), False),
        (Wishes(to="else@example.com"), False),
        (Wishes(to="nobody@example.com"), False),
        (Wishes(organization_id="nowhere", to="ann@example.com"), False),
        (Wishes(mapped={"a": "nobody@example.com"}), True),
    ],
)
async def test_what_cannot_be_meant_is_refused(arrivals: Arrivals, wishes: Wishes, people: bool) -> None:
    arrivals.person("user_here", "ann@example.com")
    arrivals.person("user_else", "else@example.com", "another")
    before = arrivals.state()
    with pytest.raises(BadRequest):
        await arrivals.move([conversation(*TALK, owner=None)], wishes, people=people)
    assert arrivals.state() == before


async def test_a_dry_run_tells_and_does_nothing(arrivals: Arrivals) -> None:
    arrivals.person("user_here", "here@example.com")
    await arrivals.move([person("u0", "old@example.com"), conversation(*TALK, external_id="c0", owner="u0")])
    before, entries = arrivals.state(), arrivals.rows("SELECT count(*) FROM audit_log")
    records: list[Record] = [
        person("u0", "old@example.com"),
        person(),
        person("u2", "here@example.com"),
        conversation(*TALK),
        conversation(*TALK, message("s", "r"), external_id="c0", owner="u0"),
        conversation(*TALK, external_id="c2", owner="u2"),
    ]
    told = await arrivals.move(records, Wishes(dry_run=True))
    assert arrivals.state() == before
    assert arrivals.rows("SELECT count(*) FROM audit_log") == entries
    done = await arrivals.move(records)
    assert told.counts() == done.counts()
    assert (told.conversations_added, told.conversations_extended, told.messages_added) == (1, 1, 5)
    assert told.skipped == done.skipped


async def test_conversations_are_private_and_sealed(arrivals: Arrivals, database: Database) -> None:
    text = "nobody else reads this"
    await arrivals.move([person(), person("u2", "bob@example.com"), conversation(message("q", None, text), title=text)])
    ann, bob = (
        arrivals.rows("SELECT id FROM users WHERE email = %s", email)[0][0]
        for email in ("ann@example.com", "bob@example.com")
    )
    ((conversation_id,),) = arrivals.rows("SELECT id FROM conversations")
    for user_id, seen in ((ann, True), (bob, False)):
        async with database.unit(Scope(ORGANIZATION, user_id)) as session:
            assert (await imports.conversation(session, conversation_id) is not None) == seen
    assert arrivals.rows("SELECT 1 FROM conversations WHERE position(%s in title) > 0", text.encode()) == []
    assert arrivals.rows("SELECT 1 FROM messages WHERE position(%s in content) > 0", text.encode()) == []


async def test_runs_stand_in_the_audit_log(arrivals: Arrivals) -> None:
    (last,) = arrivals.rows("SELECT coalesce(max(seq), 0) FROM audit_log WHERE organization_id = %s", ORGANIZATION)
    await arrivals.move([person(), conversation(*TALK)])
    entries = arrivals.rows(
        "SELECT action, target, details FROM audit_log WHERE organization_id = %s AND seq > %s ORDER BY seq",
        ORGANIZATION,
        *last,
    )
    ((user_id,),) = arrivals.rows("SELECT id FROM users")
    assert [entry[:2] for entry in entries] == [("user.import", user_id), ("import.run", "elsewhere")]
    assert '"messages_added":4' in entries[1][2]
    assert "ann@example.com" not in str(entries)


async def test_many_messages(arrivals: Arrivals) -> None:
    messages = [message(str(index), str(index - 1) if index else None) for index in range(1201)]
    await arrivals.move([person(), conversation(*messages)])
    found = await arrivals.conversation("c1")
    assert list(found["messages"]) == [str(index) for index in range(1201)]
    assert (await arrivals.move([person(), conversation(*messages)])).conversations_unchanged == 1


async def test_a_whole_database_of_open_webui(arrivals: Arrivals, tmp_path: Path, postgres: EmbeddedPostgres) -> None:
    said = [
        Said("q", None, "user", "Question?"),
        Said("a", "q", "assistant", "Answer."),
        Said("b", "q", "assistant", "Other."),
    ]
    path = webui_db(
        tmp_path / "webui.db",
        [
            Chat("c1", "u1", tree(said)),
            Chat("c2", "u2", tree(said)),
            Chat("c3", "gone", tree(said)),
            Chat("c4", "u1", "{"),
        ],
        [("u1", "Ann", "ann@example.com", "admin", 1_700_000_000), ("u2", "New", "new@example.com", "pending", None)],
        [("u1", "", BCRYPT, 1)],
    )
    for counts in ((1, 1, 3), (0, 0, 0)):
        export = open_webui.create(path)
        report = await arrivals.move(export.records)
        assert (report.users_added, report.conversations_added, report.messages_added) == counts
    assert report.as_json()["skipped"] == [
        {"what": "conversation", "why": "it is no valid JSON", "count": 1, "ids": ["c4"]},
        {"what": "conversation", "why": "its owner is not in the file", "count": 2, "ids": ["c2", "c3"]},
        {"what": "user", "why": "no administrator had admitted this person", "count": 1, "ids": ["u2"]},
    ]
