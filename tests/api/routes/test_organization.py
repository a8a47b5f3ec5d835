"""Members, roles, invitations, teams, projects: who may do what to whom."""

import asyncio
from typing import Any

import httpx2
import pytest

from api.db import accounts
from api.scope import Scope
from tests.fixtures.application import PASSWORD, Application, Person
from tests.fixtures.database import query


async def call(person: Person, method: str, path: str, body: dict[str, Any] | None = None) -> httpx2.Response:
    return await person.http.request(method, path, json=body, headers=person.headers)


@pytest.fixture
async def org(fresh: str) -> str:
    return f"org_{fresh}"


@pytest.fixture
async def owner(app: Application, fresh: str, org: str) -> Person:
    return await app.register(f"{fresh}-owner", "owner", org)


async def test_a_demotion_counts_at_once(app: Application, owner: Person, fresh: str, org: str) -> None:
    admin = await app.register(f"{fresh}-admin", "admin", org)
    assert (await call(admin, "GET", "/api/users")).status_code == 200
    answer = await call(owner, "PATCH", f"/api/users/{admin.id}", {"role": "viewer"})
    assert (answer.status_code, answer.json()["role"]) == (200, "viewer")
    assert (await call(admin, "GET", "/api/users")).status_code == 403


async def test_nobody_gives_more_than_they_have(app: Application, owner: Person, fresh: str, org: str) -> None:
    admin = await app.register(f"{fresh}-admin", "admin", org)
    for method, path, body in (
        ("PATCH", f"/api/users/{admin.id}", {"role": "owner"}),
        ("PATCH", f"/api/users/{owner.id}", {"role": "viewer"}),
        ("PATCH", f"/api/users/{owner.id}", {"status": "disabled"}),
        ("DELETE", f"/api/users/{owner.id}", None),
        ("POST", "/api/invitations", {"role": "owner"}),
        ("PUT", "/api/roles/all", {"permissions": ["*"]}),
    ):
        assert (await call(admin, method, path, body)).status_code == 403, (method, path, body)


async def test_the_last_owner_stays(app: Application, owner: Person, fresh: str, org: str) -> None:
    for method, body in (("PATCH", {"role": "admin"}), ("PATCH", {"status": "disabled"}), ("DELETE", None)):
        assert (await call(owner, method, f"/api/users/{owner.id}", body)).status_code == 409
    second = await app.register(f"{fresh}-second", "owner", org)
    answers = await asyncio.gather(
        call(owner, "PATCH", f"/api/users/{second.id}", {"role": "member"}),
        call(second, "PATCH", f"/api/users/{owner.id}", {"role": "member"}),
    )
    assert 200 in [answer.status_code for answer in answers]
    roles = [user["role"] for user in (await call(owner, "GET", "/api/users")).json().get("data", [])] or [
        user["role"] for user in (await call(second, "GET", "/api/users")).json()["data"]
    ]
    assert roles.count("owner") == 1


async def test_an_owner_who_cannot_sign_in_is_none(app: Application, owner: Person, fresh: str, org: str) -> None:
    second = await app.register(f"{fresh}-second", "owner", org)
    assert (await call(owner, "PATCH", f"/api/users/{second.id}", {"status": "disabled"})).status_code == 200
    for method, body in (("PATCH", {"role": "member"}), ("PATCH", {"status": "disabled"}), ("DELETE", None)):
        assert (await call(owner, method, f"/api/users/{owner.id}", body)).status_code == 409
    assert (await call(owner, "POST", "/api/auth/erase", {"password": PASSWORD})).status_code == 409
    async with app.services.database.unit(Scope(org)) as unit:
        assert await accounts.has_owner(unit, org, "owner")
        await accounts.change(unit, owner.id, status="disabled")
        assert not await accounts.has_owner(unit, org, "owner")


async def test_others_members_are_not_there(app: Application, owner: Person, fresh: str) -> None:
    stranger = await app.register(f"{fresh}-stranger", "owner", f"org_other_{fresh}")
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert (await call(owner, method, f"/api/users/{stranger.id}", body)).status_code == 404
    ids = [user["id"] for user in (await call(owner, "GET", "/api/users")).json()["data"]]
    assert ids == [owner.id]


async def test_an_invitation_lets_one_person_in(app: Application, owner: Person, fresh: str, org: str) -> None:
    made = (
        await call(owner, "POST", "/api/invitations", {"email": f"{fresh}-new@example.com", "role": "admin"})
    ).json()
    assert made["link"] == f"/welcome#invitation={made['token']}"
    async with app.client() as http:
        body = {"email": f"{fresh}-wrong@example.com", "password": PASSWORD, "invitation": made["token"]}
        assert (await http.post("/api/auth/register", json=body)).status_code == 400
        body["email"] = f"{fresh}-new@example.com"
        answer = await http.post("/api/auth/register", json=body)
        assert (answer.status_code, answer.json()["organization_id"]) == (201, org)
        headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        me = (await http.get("/api/auth/me", headers=headers)).json()
        assert (me["organizations"][0]["role"], me["email_verified"]) == ("admin", True)
        body["email"] = f"{fresh}-again@example.com"
        assert (await http.post("/api/auth/register", json=body)).status_code == 400
    other = (await call(owner, "POST", "/api/invitations", {})).json()
    assert [each["id"] for each in (await call(owner, "GET", "/api/invitations")).json()["data"]] == [other["id"]]
    assert (await call(owner, "DELETE", f"/api/invitations/{other['id']}")).status_code == 200
    async with app.client() as http:
        body = {"email": f"{fresh}-late@example.com", "password": PASSWORD, "invitation": other["token"]}
        assert (await http.post("/api/auth/register", json=body)).status_code == 400


async def test_a_custom_role_is_what_it_names(app: Application, owner: Person, fresh: str, org: str) -> None:
    assert (await call(owner, "PUT", "/api/roles/auditor", {"permissions": ["users:read"]})).status_code == 200
    auditor = await app.register(f"{fresh}-auditor", "auditor", org)
    assert (await call(auditor, "GET", "/api/users")).status_code == 200
    assert (await call(auditor, "GET", "/v1/models")).status_code == 403
    assert (await call(owner, "PUT", "/api/roles/auditor", {"permissions": ["inference"]})).status_code == 200
    assert (await call(auditor, "GET", "/api/users")).status_code == 403
    assert (await call(auditor, "GET", "/v1/models")).status_code == 200
    assert (await call(owner, "DELETE", "/api/roles/auditor")).status_code == 409
    assert (await call(owner, "PATCH", f"/api/users/{auditor.id}", {"role": "member"})).status_code == 200
    assert (await call(owner, "DELETE", "/api/roles/auditor")).status_code == 200
    for body, status in (({"permissions": ["account"]}, 400), ({"permissions": ["nonsense"]}, 400)):
        assert (await call(owner, "PUT", "/api/roles/another", body)).status_code == status
    assert (await call(owner, "PUT", "/api/roles/owner", {"permissions": []})).status_code == 409


async def test_a_persons_key_follows_the_person(app: Application, owner: Person, fresh: str, org: str) -> None:
    member = await app.register(f"{fresh}-member", "member", org)
    made = (await call(member, "POST", "/api/keys", {"name": "k"})).json()
    headers = {"authorization": f"Bearer {made['key']}"}
    async with app.client() as http:
        assert (await http.get("/v1/models", headers=headers)).status_code == 200
        for path in ("/api/auth/me", "/api/users"):
            assert (await http.get(path, headers=headers)).status_code == 403
        assert (await call(owner, "PATCH", f"/api/users/{member.id}", {"role": "viewer"})).status_code == 200
        assert (await http.get("/v1/models", headers=headers)).status_code == 403
        assert (await call(owner, "DELETE", f"/api/users/{member.id}")).status_code == 200
        assert (await http.get("/v1/models", headers=headers)).status_code == 401
    assert (await call(member, "GET", "/api/auth/me")).status_code == 401


async def test_keys_are_their_makers(app: Application, owner: Person, fresh: str, org: str) -> None:
    one, two = [await app.register(f"{fresh}-{n}", "member", org) for n in range(2)]
    key = (await call(one, "POST", "/api/keys", {"name": "k", "models": ["m"]})).json()
    assert key["models"] == ["m"]
    assert (await call(two, "GET", "/api/keys")).json()["data"] == []
    assert (await call(two, "DELETE", f"/api/keys/{key['id']}")).status_code == 404
    assert [each["id"] for each in (await call(owner, "GET", "/api/keys")).json()["data"]] == [key["id"]]
    assert (await call(two, "POST", "/api/keys", {"name": "k", "permissions": ["users:read"]})).status_code == 400
    assert (await call(owner, "DELETE", f"/api/keys/{key['id']}")).status_code == 200


async def test_teams_hold_members_of_their_organization(app: Application, owner: Person, fresh: str, org: str) -> None:
    member = await app.register(f"{fresh}-member", "member", org)
    stranger = await app.register(f"{fresh}-stranger", "member", f"org_other_{fresh}")
    team = (await call(owner, "POST", "/api/teams", {"name": "readers"})).json()
    assert (await call(owner, "POST", "/api/teams", {"name": "readers"})).status_code == 409
    members = f"/api/teams/{team['id']}/members"
    assert (await call(member, "GET", members)).status_code == 404
    assert (await call(owner, "PUT", f"{members}/{member.id}")).status_code == 200
    assert (await call(owner, "PUT", f"{members}/{member.id}")).status_code == 200
    assert (await call(owner, "PUT", f"{members}/{stranger.id}")).status_code == 404
    assert [each["id"] for each in (await call(member, "GET", members)).json()["data"]] == [member.id]
    assert [each["id"] for each in (await call(member, "GET", "/api/teams")).json()["data"]] == [team["id"]]
    assert (await call(stranger, "GET", members)).status_code == 404
    assert (await call(owner, "DELETE", f"{members}/{member.id}")).status_code == 200
    assert (await call(owner, "PATCH", f"/api/teams/{team['id']}", {"name": "writers"})).status_code == 200
    project = (await call(owner, "POST", "/api/projects", {"name": "p", "team_id": team["id"]})).json()
    assert (await call(owner, "POST", "/api/projects", {"name": "q", "team_id": "team_none"})).status_code == 404
    assert (await call(owner, "DELETE", f"/api/teams/{team['id']}")).status_code == 200
    (left,) = (await call(owner, "GET", "/api/projects")).json()["data"]
    assert (left["id"], left["team_id"]) == (project["id"], None)
    assert (await call(owner, "PATCH", f"/api/projects/{project['id']}", {"name": "r"})).status_code == 200
    assert (await call(owner, "DELETE", f"/api/projects/{project['id']}")).status_code == 200


async def test_only_the_installations_organization_makes_others(app: Application, owner: Person, fresh: str) -> None:
    assert (await call(owner, "POST", "/api/organizations", {"name": "more"})).status_code == 403
    assert (await call(owner, "POST", "/api/models", {})).status_code == 403
    root = await app.register(f"{fresh}-root", "owner")
    made = (await call(root, "POST", "/api/organizations", {"name": "more"})).json()
    async with app.client() as http:
        body = {"email": f"{fresh}-chief@example.com", "password": PASSWORD, "invitation": made["token"]}
        answer = (await http.post("/api/auth/register", json=body)).json()
        headers = {"authorization": f"Bearer {answer['access_token']}"}
        assert answer["organization_id"] == made["id"]
        named = await http.patch("/api/organization", json={"name": "renamed"}, headers=headers)
        assert named.json()["name"] == "renamed"


async def test_lists_come_in_pages(app: Application, owner: Person, fresh: str, org: str) -> None:
    people = {owner.id} | {(await app.register(f"{fresh}-{n}", "member", org)).id for n in range(4)}
    seen: list[str] = []
    after = ""
    while True:
        page = (await call(owner, "GET", f"/api/users?limit=2{after}")).json()
        seen += [user["id"] for user in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == sorted(people)
    for bad in ("limit=0", "limit=101", "limit=x", "after=%00"):
        assert (await call(owner, "GET", f"/api/users?{bad}")).status_code == 400


async def test_an_organization_is_made_once_per_idempotency_key(app: Application, fresh: str) -> None:
    root = await app.register(f"{fresh}-root", "owner")
    headers = root.headers | {"idempotency-key": fresh}
    first, again = [await root.http.post("/api/organizations", json={"name": fresh}, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    other = await root.http.post("/api/organizations", json={"name": "other"}, headers=headers)
    assert other.status_code == 422
    async with app.client() as http:
        body = {"email": f"{fresh}-chief@example.com", "password": PASSWORD, "invitation": first.json()["token"]}
        chief = (await http.post("/api/auth/register", json=body)).json()
    assert chief["organization_id"] == first.json()["id"]
    mine = (await call(root, "GET", "/api/organization")).json()
    assert mine["id"] == "default"


async def test_a_helper_renames_nobody_who_may_more(app: Application, owner: Person, fresh: str, org: str) -> None:
    assert (await call(owner, "PUT", "/api/roles/helper", {"permissions": ["users:write"]})).status_code == 200
    helper, weak = [await app.register(f"{fresh}-{role}", role, org) for role in ("helper", "nothing")]
    assert (await call(helper, "PATCH", f"/api/users/{owner.id}", {"name": "mocked"})).status_code == 403
    assert (await call(helper, "PATCH", f"/api/users/{weak.id}", {"name": "new"})).json()["name"] == "new"
    assert (await call(owner, "PATCH", f"/api/users/{owner.id}", {"name": "chief"})).status_code == 200
    query(app.postgres, "INSERT INTO memberships VALUES ('default', %s, 'member')", weak.id)
    assert (await call(owner, "PATCH", f"/api/users/{weak.id}", {"name": "ours"})).status_code == 409
    entries = query(
        app.postgres, "SELECT actor, target, details FROM audit_log WHERE organization_id = %s AND action = %s"
        " ORDER BY seq", org, "user.change",
    )  # fmt: skip
    assert [(actor, target) for actor, target, _ in entries] == [(helper.id, weak.id), (owner.id, owner.id)]
    assert {details for _, _, details in entries} == {'{"attributes":["name"]}'}


async def test_who_comes_back_has_no_old_keys(app: Application, owner: Person, fresh: str, org: str) -> None:
    member, stays = [await app.register(f"{fresh}-{n}", "member", org) for n in range(2)]
    keys = [(await call(each, "POST", "/api/keys", {"name": "k"})).json()["key"] for each in (member, stays)]
    assert (await call(owner, "DELETE", f"/api/users/{member.id}")).status_code == 200
    query(app.postgres, "INSERT INTO memberships VALUES (%s, %s, 'member')", org, member.id)
    app.services.doorkeeper.forget()
    async with app.client() as http:
        answers = [await http.get("/v1/models", headers={"authorization": f"Bearer {key}"}) for key in keys]
    assert [answer.status_code for answer in answers] == [401, 200]


async def test_a_role_stays_while_an_invitation_gives_it(app: Application, owner: Person, fresh: str, org: str) -> None:
    async def register(name: str, token: str) -> int:
        async with app.client() as http:
            body = {"email": f"{fresh}-{name}@example.com", "password": PASSWORD, "invitation": token}
            return (await http.post("/api/auth/register", json=body)).status_code

    assert (await call(owner, "PUT", "/api/roles/weak", {"permissions": ["models:read"]})).status_code == 200
    first, second = [(await call(owner, "POST", "/api/invitations", {"role": "weak"})).json() for _ in range(2)]
    assert (await call(owner, "DELETE", "/api/roles/weak")).status_code == 409
    assert "weak" in {role["id"] for role in (await call(owner, "GET", "/api/roles")).json()["data"]}
    query(app.postgres, "DELETE FROM roles WHERE organization_id = %s", org)
    assert await register("early", first["token"]) == 400
    assert (await call(owner, "PUT", "/api/roles/weak", {"permissions": ["models:read"]})).status_code == 200
    assert await register("right", first["token"]) == 201
    query(app.postgres, "DELETE FROM memberships WHERE organization_id = %s AND role = 'weak'", org)
    assert (await call(owner, "DELETE", "/api/roles/weak")).status_code == 409
    assert (await call(owner, "DELETE", f"/api/invitations/{second['id']}")).status_code == 200
    assert (await call(owner, "DELETE", "/api/roles/weak")).status_code == 200
