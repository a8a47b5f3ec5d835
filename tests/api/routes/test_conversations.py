"""Conversations: trees, pages, versions, sharing; sealed in the database, invisible to everybody else."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.fixtures.application import Application, Person
from tests.fixtures.database import query

SECRET = "the-owl-flies-at-midnight-\u00e9\u4e2d\U0001f989"


async def call(
    person: Person, method: str, path: str, body: dict[str, Any] | None = None, **headers: str
) -> httpx2.Response:
    given = person.headers | {name.replace("_", "-"): value for name, value in headers.items()}
    return await person.http.request(method, path, json=body, headers=given)


async def begun(person: Person, title: str = "t", **fields: Any) -> dict[str, Any]:
    answer = await call(person, "POST", "/api/conversations", {"title": title, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def said(person: Person, conversation: str, content: Any, role: str = "user", **fields: Any) -> dict[str, Any]:
    path = f"/api/conversations/{conversation}/messages"
    answer = await call(person, "POST", path, {"role": role, "content": content, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


@pytest.fixture
async def person(app: Application, fresh: str) -> Person:
    return await app.register(fresh)


async def test_a_tree_grows_and_is_told_parents_first(person: Person) -> None:
    conversation = await begun(person, SECRET)
    one = await said(person, conversation["id"], SECRET)
    two = await said(person, conversation["id"], [{"type": "text", "text": SECRET}], "assistant", model="m")
    other = await said(person, conversation["id"], "again", "assistant", parent_id=one["id"])
    root = await said(person, conversation["id"], "anew", parent_id=None)
    assert [(each["parent_id"], each["branch"]) for each in (one, two, other, root)] == [
        (None, 0), (one["id"], 0), (one["id"], 1), (None, 1),
    ]  # fmt: skip
    path = f"/api/conversations/{conversation['id']}"
    first = (await call(person, "GET", f"{path}/messages?limit=3")).json()
    assert [each["id"] for each in first["data"]] == [one["id"], two["id"], other["id"]]
    assert first["data"][0]["content"] == SECRET
    assert first["data"][1]["content"] == [{"type": "text", "text": SECRET}]
    rest = (await call(person, "GET", f"{path}/messages?after={first['last_id']}")).json()
    assert [each["id"] for each in rest["data"]] == [root["id"]]
    for place in (f"{path}/messages", "/api/conversations"):
        unknown = await call(person, "GET", f"{place}?after=none")
        assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "after")
    told = (await call(person, "GET", path)).json()
    assert (told["title"], told["current_message_id"]) == (SECRET, root["id"])
    assert (await call(person, "DELETE", f"{path}/messages/{one['id']}")).status_code == 200
    left = (await call(person, "GET", f"{path}/messages")).json()["data"]
    assert [each["id"] for each in left] == [root["id"]]
    assert (await call(person, "DELETE", path)).status_code == 200
    assert (await call(person, "GET", path)).status_code == 404


async def test_nothing_of_it_is_readable_in_the_database(app: Application, person: Person) -> None:
    conversation = await begun(person, SECRET)
    await said(person, conversation["id"], SECRET)
    for table in ("conversations", "messages", "data_keys"):
        for (row,) in query(
            app.postgres, f"SELECT to_jsonb(t)::text || encode(t::text::bytea, 'escape') FROM {table} t"
        ):
            assert SECRET not in row
            assert SECRET.encode().hex() not in row  # all of it: three letters stand in random digits now and then


async def test_a_change_knows_what_it_changes(person: Person) -> None:
    conversation = await begun(person)
    path = f"/api/conversations/{conversation['id']}"
    changed = await call(person, "PATCH", path, {"version": 1, "title": "new", "archived": True})
    assert (changed.json()["title"], changed.json()["archived"], changed.json()["version"]) == ("new", True, 2)
    late = await call(person, "PATCH", path, {"version": 1, "title": "late"})
    assert (late.status_code, late.json()["error"]["param"]) == (409, "version")
    races = await asyncio.gather(*(call(person, "PATCH", path, {"version": 2, "title": f"{n}"}) for n in range(4)))
    assert sorted(race.status_code for race in races) == [200, 409, 409, 409]
    message = await said(person, conversation["id"], "a", metadata={"k": 1})
    where = f"{path}/messages/{message['id']}"
    again = (await call(person, "PATCH", where, {"version": 1, "content": "b"})).json()
    assert (again["content"], again["metadata"], again["version"]) == ("b", {"k": 1}, 2)
    assert (await call(person, "PATCH", where, {"version": 1, "content": "c"})).status_code == 409


async def test_the_list_is_the_newest_first_in_pages(person: Person) -> None:
    made = [(await begun(person, str(n)))["id"] for n in range(5)]
    await said(person, made[0], "awake")
    seen: list[str] = []
    after = ""
    while True:
        page = (await call(person, "GET", f"/api/conversations?limit=2{after}")).json()
        seen += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == [made[0], *reversed(made[1:])]
    await call(person, "PATCH", f"/api/conversations/{made[1]}", {"version": 1, "archived": True})
    archived = (await call(person, "GET", "/api/conversations?archived=true")).json()["data"]
    assert [each["id"] for each in archived] == [made[1]]


async def test_others_conversations_are_not_there(app: Application, person: Person, fresh: str) -> None:
    colleague = await app.register(f"{fresh}-colleague", "owner")
    stranger = await app.register(f"{fresh}-stranger", "owner", f"org_{fresh}")
    conversation = await begun(person)
    message = await said(person, conversation["id"], "mine")
    own = await begun(stranger)
    path = f"/api/conversations/{conversation['id']}"
    for other in (colleague, stranger):
        for method, where, body in (
            ("GET", path, None),
            ("PATCH", path, {"version": 1, "title": "x"}),
            ("DELETE", path, None),
            ("GET", f"{path}/messages", None),
            ("POST", f"{path}/messages", {"role": "user", "content": "x"}),
            ("PATCH", f"{path}/messages/{message['id']}", {"version": 1, "content": "x"}),
            ("DELETE", f"{path}/messages/{message['id']}", None),
        ):
            assert (await call(other, method, where, body)).status_code == 404, (method, where)
    crossed = f"/api/conversations/{own['id']}/messages"
    body = {"role": "user", "content": "x", "parent_id": message["id"]}
    assert (await call(stranger, "POST", crossed, body)).status_code == 404
    assert (await call(stranger, "PATCH", f"{crossed}/{message['id']}", {"version": 1})).status_code == 404


async def test_a_team_reads_and_answers_what_is_shared_with_it(app: Application, fresh: str) -> None:
    org = f"org_{fresh}"
    owner, mate = await app.register(fresh, "owner", org), await app.register(f"{fresh}-mate", "member", org)
    outside = await app.register(f"{fresh}-outside", "member", org)
    team = (await call(owner, "POST", "/api/teams", {"name": "t"})).json()["id"]
    conversation = await begun(owner, SECRET)
    await said(owner, conversation["id"], SECRET)
    path = f"/api/conversations/{conversation['id']}"
    share = {"version": 2, "team_id": team}
    assert (await call(owner, "PATCH", path, share)).status_code == 404  # not in the team oneself
    for person in (owner, mate):
        await call(owner, "PUT", f"/api/teams/{team}/members/{person.id}")
    shared = await call(owner, "PATCH", path, share)
    assert (shared.status_code, shared.json()["team_id"]) == (200, team)
    (listed,) = (await call(mate, "GET", f"/api/conversations?team_id={team}")).json()["data"]
    assert (listed["id"], listed["title"]) == (conversation["id"], SECRET)
    answered = await said(mate, conversation["id"], "seen", "assistant")
    texts = [each["content"] for each in (await call(owner, "GET", f"{path}/messages")).json()["data"]]
    assert texts == [SECRET, "seen"]
    version = (await call(owner, "GET", path)).json()["version"]
    for method, body in (("DELETE", None), ("PATCH", {"version": version, "team_id": None})):
        assert (await call(mate, method, path, body)).status_code == 403
    assert (await call(outside, "GET", path)).status_code == 404
    assert (await call(outside, "GET", f"/api/conversations?team_id={team}")).json()["data"] == []
    ended = await call(owner, "PATCH", path, {"version": version, "team_id": None})
    assert ended.json()["team_id"] is None
    assert (await call(mate, "GET", f"{path}/messages")).status_code == 404
    again = (await call(owner, "GET", f"{path}/messages")).json()["data"]
    assert [each["id"] for each in again][-1] == answered["id"]


async def test_an_organizations_key_has_no_conversations(app: Application, person: Person) -> None:
    from tests.fixtures.database import kept_key

    made = await kept_key(app.services.database, "*")
    key = person.within({"authorization": f"Bearer {made.key}"})
    assert (await call(key, "GET", "/api/conversations")).status_code == 400
    assert (await call(key, "POST", "/api/conversations", {})).status_code == 400


async def test_what_is_sent_twice_happens_once(person: Person) -> None:
    first = await call(person, "POST", "/api/conversations", {"title": "once"}, idempotency_key="k-1")
    again = await call(person, "POST", "/api/conversations", {"title": "once"}, idempotency_key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = await call(person, "POST", "/api/conversations", {"title": "twice"}, idempotency_key="k-1")
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    for bad in ("", "x" * 256, "with space"):
        assert (await call(person, "POST", "/api/conversations", {}, idempotency_key=bad)).status_code == 400
    path = f"/api/conversations/{first.json()['id']}/messages"
    many = await asyncio.gather(
        *(call(person, "POST", path, {"role": "user", "content": "hi"}, idempotency_key="k-2") for _ in range(8))
    )
    good = [answer for answer in many if answer.status_code == 201]
    assert {answer.status_code for answer in many} <= {201, 409}
    assert len({answer.json()["id"] for answer in good}) == 1
    assert len((await call(person, "GET", path)).json()["data"]) == 1


async def test_a_key_belongs_to_its_person_and_route(app: Application, person: Person, fresh: str) -> None:
    other = await app.register(f"{fresh}-other")
    body = {"title": "x"}
    mine = (await call(person, "POST", "/api/conversations", body, idempotency_key="shared")).json()["id"]
    theirs = (await call(other, "POST", "/api/conversations", body, idempotency_key="shared")).json()["id"]
    assert mine != theirs
    made = await call(person, "POST", "/api/keys", {"name": "k"}, idempotency_key="shared")
    again = await call(person, "POST", "/api/keys", {"name": "k"}, idempotency_key="shared")
    assert made.json()["key"] == again.json()["key"]
    for (row,) in query(app.postgres, "SELECT to_jsonb(t)::text FROM idempotency_keys t"):
        assert made.json()["key"].encode().hex() not in row


async def test_a_key_is_free_again_after_a_failure_and_after_a_day(app: Application, person: Person) -> None:
    bad = await call(person, "POST", "/api/conversations", {"team_id": "none"}, idempotency_key="free")
    assert bad.status_code == 404
    good = await call(person, "POST", "/api/conversations", {"title": "x"}, idempotency_key="free")
    assert good.status_code == 201
    query(app.postgres, "UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
    late = await call(person, "POST", "/api/conversations", {"title": "y"}, idempotency_key="free")
    assert late.status_code == 201
    assert late.json()["id"] != good.json()["id"]
