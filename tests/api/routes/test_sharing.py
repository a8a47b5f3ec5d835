"""Who leaves a team, and a team that goes, take nobody's conversations along. The vault remembers nothing meanwhile."""

import io
import json
import zipfile
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import psycopg
import pytest

from api.vault.keys import DataKey
from tests.api.routes.test_conversations import begun, call, said
from tests.api.scim.conftest import directory_of
from tests.fixtures.application import Application, Person
from tests.fixtures.database import query

SECRET = "the-heron-fishes-at-noon"
MANY = 10_000


async def team_of(owner: Person, *people: Person) -> str:
    team = str((await call(owner, "POST", "/api/teams", {"name": "t"})).json()["id"])
    for person in people:
        assert (await call(owner, "PUT", f"/api/teams/{team}/members/{person.id}")).status_code == 200
    return team


async def shared(maker: Person, mate: Person, team: str) -> str:
    conversation = str((await begun(maker, SECRET, team_id=team))["id"])
    await said(maker, conversation, SECRET)
    await said(mate, conversation, "a mate's answer")
    return conversation


async def check_readable(app: Application, maker: Person, conversation: str) -> None:
    app.services.vault.forget()
    path = f"/api/conversations/{conversation}"
    told = (await call(maker, "GET", path)).json()
    assert (told["title"], told["team_id"]) == (SECRET, None)
    listed = (await call(maker, "GET", "/api/conversations")).json()["data"]
    assert [each["title"] for each in listed if each["id"] == conversation] == [SECRET]
    said_there = (await call(maker, "GET", f"{path}/messages")).json()["data"]
    assert [each["content"] for each in said_there] == [SECRET, "a mate's answer"]
    again = await call(maker, "PATCH", path, {"version": told["version"], "title": SECRET})
    assert again.status_code == 200
    exported = (await call(maker, "GET", "/api/auth/export")).content
    assert conversation in " ".join(zipfile.ZipFile(io.BytesIO(exported)).namelist())


def team_keys(app: Application, team: str) -> list[Any]:
    return query(app.postgres, "SELECT id FROM data_keys WHERE owner_kind = 'team' AND owner_id = %s", team)


async def test_who_is_taken_out_of_a_team_keeps_their_conversations(app: Application, fresh: str) -> None:
    org = f"org_{fresh}"
    owner = await app.register(fresh, "owner", org)
    maker, mate = await app.register(f"{fresh}-a", "member", org), await app.register(f"{fresh}-b", "member", org)
    team = await team_of(owner, maker, mate)
    conversation, theirs = await shared(maker, mate, team), await shared(mate, maker, team)
    assert (await call(owner, "DELETE", f"/api/teams/{team}/members/{maker.id}")).status_code == 200
    await check_readable(app, maker, conversation)
    for path in (f"/api/conversations/{conversation}", f"/api/conversations/{conversation}/messages"):
        assert (await call(mate, "GET", path)).status_code == 404
    assert (await call(mate, "GET", f"/api/conversations/{theirs}")).json()["team_id"] == team
    assert (await call(owner, "DELETE", f"/api/teams/{team}")).status_code == 200
    await check_readable(app, maker, conversation)
    assert (await call(mate, "GET", f"/api/conversations/{theirs}")).json()["team_id"] is None


async def test_a_team_that_goes_takes_its_key_and_nothing_else(app: Application, fresh: str) -> None:
    org = f"org_{fresh}"
    owner = await app.register(fresh, "owner", org)
    maker, mate = await app.register(f"{fresh}-a", "member", org), await app.register(f"{fresh}-b", "member", org)
    team = await team_of(owner, maker, mate)
    conversations = [await shared(maker, mate, team) for _ in range(3)]
    assert len(team_keys(app, team)) == 1
    app.services.vault.forget()
    assert (await call(owner, "DELETE", f"/api/teams/{team}")).status_code == 200
    assert team_keys(app, team) == []
    for conversation in conversations:
        await check_readable(app, maker, conversation)


async def test_who_leaves_the_organization_takes_them_too(app: Application, fresh: str) -> None:
    org = f"org_{fresh}"
    owner = await app.register(fresh, "owner", org)
    maker, mate = await app.register(f"{fresh}-a", "member", org), await app.register(f"{fresh}-b", "member", org)
    conversation = await shared(maker, mate, await team_of(owner, maker, mate))
    assert (await call(owner, "DELETE", f"/api/users/{maker.id}")).status_code == 200
    ((team, owner_id),) = query(
        app.postgres,
        "SELECT c.team_id, k.owner_id FROM conversations c JOIN data_keys k ON k.id = c.data_key_id WHERE c.id = %s",
        conversation,
    )
    assert (team, owner_id) == (None, maker.id)


@pytest.mark.parametrize("way", ["group", "patch", "put", "user"])
async def test_a_directory_takes_nobodys_conversations(app: Application, fresh: str, way: str) -> None:
    org = f"org_{fresh}"
    owner = await app.register(fresh, "owner", org)
    maker, mate = await app.register(f"{fresh}-a", "member", org), await app.register(f"{fresh}-b", "member", org)
    directory, team = await directory_of(app, owner), await team_of(owner, maker, mate)
    conversation = await shared(maker, mate, team)
    left: dict[str, Any] = {"displayName": "t", "members": [{"value": mate.id}]}
    ways: dict[str, Callable[[], Awaitable[httpx2.Response]]] = {
        "group": lambda: directory.call("DELETE", f"/Groups/{team}"),
        "patch": lambda: directory.patch(
            f"/Groups/{team}", {"op": "remove", "path": f'members[value eq "{maker.id}"]'}
        ),
        "put": lambda: directory.call("PUT", f"/Groups/{team}", left),
        "user": lambda: directory.call("DELETE", f"/Users/{maker.id}"),
    }
    assert (await ways[way]()).status_code in (200, 204)
    if way == "user":  # the account is disabled: the row says it
        ((owner_id,),) = query(
            app.postgres,
            "SELECT k.owner_id FROM conversations c JOIN data_keys k ON k.id = c.data_key_id WHERE c.id = %s",
            conversation,
        )
        assert owner_id == maker.id
    else:
        await check_readable(app, maker, conversation)


async def test_no_way_around_it_loses_a_conversation(app: Application, fresh: str) -> None:
    """The database itself refuses a team's end while a conversation is sealed with its key."""
    org = f"org_{fresh}"
    owner = await app.register(fresh, "owner", org)
    team = await team_of(owner, owner)
    await shared(owner, owner, team)
    for statement in ("DELETE FROM team_members WHERE team_id = %s", "DELETE FROM teams WHERE id = %s"):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            query(app.postgres, statement, team)
    assert len(team_keys(app, team)) == 1


async def test_one_row_that_does_not_open_hides_no_other(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    good, bad = (await begun(person, SECRET))["id"], (await begun(person, SECRET))["id"]
    message = (await said(person, good, SECRET))["id"]
    query(app.postgres, "UPDATE conversations SET data_key_id = 'dk_none' WHERE id = %s", bad)
    query(app.postgres, "UPDATE messages SET data_key_id = 'dk_none' WHERE id = %s", message)
    app.services.vault.forget()
    listed = {each["id"]: each for each in (await call(person, "GET", "/api/conversations")).json()["data"]}
    assert (listed[good]["title"], listed[bad]["title"], listed[bad]["unreadable"]) == (SECRET, None, True)
    assert "unreadable" not in listed[good]
    (told,) = (await call(person, "GET", f"/api/conversations/{good}/messages")).json()["data"]
    assert (told["id"], told["content"], told["unreadable"]) == (message, None, True)
    archive = zipfile.ZipFile(io.BytesIO((await call(person, "GET", "/api/auth/export")).content))
    exported = {each: json.loads(archive.read(f"default/conversations/{each}.json")) for each in (good, bad)}
    assert (exported[good]["title"], exported[bad]["unreadable"]) == (SECRET, True)
    assert exported[good]["messages"][0]["unreadable"] is True
    assert (await call(person, "GET", f"/api/conversations/{bad}")).status_code == 500


async def test_the_longest_conversation_can_be_shared(app: Application, fresh: str) -> None:
    owner = await app.register(fresh, "owner", f"org_{fresh}")
    team = await team_of(owner, owner)
    conversation = (await begun(owner, SECRET))["id"]
    root = await said(owner, conversation, SECRET)
    _fill(app, owner, conversation, root["id"])
    path = f"/api/conversations/{conversation}"
    moved = await call(owner, "PATCH", path, {"version": 2, "team_id": team})
    assert (moved.status_code, moved.json().get("team_id")) == (200, team), moved.text
    app.services.vault.forget()
    last = (await call(owner, "GET", f"{path}/messages?after=msg_{fresh}_{MANY - 1}")).json()["data"]
    assert [each["content"] for each in last] == [f"{MANY}"]
    keys = query(app.postgres, "SELECT DISTINCT data_key_id FROM messages WHERE conversation_id = %s", conversation)
    assert keys == team_keys(app, team)
    first = (await call(owner, "GET", f"{path}/messages?limit=1")).json()["data"][0]
    assert (first["content"], first["version"]) == (SECRET, root["version"])


def _fill(app: Application, owner: Person, conversation: str, root: str) -> None:
    """Messages up to the limit, sealed as the application seals them."""
    from api.conversations import sealed

    ((key_id,),) = query(app.postgres, "SELECT data_key_id FROM messages WHERE id = %s", root)
    kept = app.services.vault._memory.get(key_id)
    assert isinstance(kept, DataKey)
    name = owner.organization_id.removeprefix("org_")
    with app.postgres._connect("manta") as connection, connection.cursor() as cursor:
        columns = "id, organization_id, conversation_id, parent_id, seq, branch, role, data_key_id, content"
        with cursor.copy(f"COPY messages ({columns}) FROM STDIN".encode()) as copy:
            for seq in range(2, MANY + 1):
                row_id = f"msg_{name}_{seq}"
                content = sealed(kept, "messages", row_id, "content", owner.organization_id, {"content": f"{seq}"})
                place = (owner.organization_id, conversation, root, seq, seq - 2)
                copy.write_row((row_id, *place, "user", key_id, content))


def acts(app: Application, target: str) -> list[tuple[str, str]]:
    statement = "SELECT action, actor FROM audit_log WHERE target = %s ORDER BY organization_id, seq"
    return [(action, actor) for action, actor in query(app.postgres, statement, target)]


async def test_sharing_and_names_stand_in_the_audit_log(app: Application, fresh: str) -> None:
    owner = await app.register(fresh, "owner", f"org_{fresh}")
    team = await team_of(owner, owner)
    conversation = (await begun(owner, SECRET, team_id=team))["id"]
    path = f"/api/conversations/{conversation}"
    await call(owner, "PATCH", path, {"version": 1, "team_id": None})
    version = (await call(owner, "GET", path)).json()["version"]
    assert (await call(owner, "PATCH", path, {"version": version, "team_id": team})).status_code == 200
    project = (await call(owner, "POST", "/api/projects", {"name": "p"})).json()["id"]
    await call(owner, "PATCH", f"/api/projects/{project}", {"name": "q"})
    await call(owner, "DELETE", f"/api/projects/{project}")
    await call(owner, "PATCH", f"/api/teams/{team}", {"name": "renamed"})
    await call(owner, "DELETE", f"/api/teams/{team}")
    await call(owner, "PATCH", "/api/auth/me", {"name": SECRET})
    shares = [("conversation.share", owner.id), ("conversation.unshare", owner.id)]
    assert acts(app, conversation) == [*shares, shares[0], ("conversation.unshare", "system")]
    assert [act for act, _ in acts(app, project)] == ["project.create", "project.change", "project.remove"]
    assert [act for act, _ in acts(app, team)] == ["team.create", "team.change", "team.remove"]
    assert ("user.change", owner.id) in acts(app, owner.id)
    assert query(app.postgres, "SELECT 1 FROM audit_log WHERE details LIKE %s", f"%{SECRET}%") == []
