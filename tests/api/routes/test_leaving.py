"""Who left an organization keeps their account: they see, take and erase what is theirs, and may join another one."""

import io
import zipfile
from typing import Any

import httpx2
import pytest

from api.identity.secrets import digest_of
from api.scope import Scope
from tests.fixtures.application import PASSWORD, Application, Person
from tests.fixtures.database import query
from tests.fixtures.factors import App


async def call(person: Person, method: str, path: str, body: dict[str, Any] | None = None) -> httpx2.Response:
    return await person.http.request(method, path, json=body, headers=person.headers)


async def signed_in(app: Application, person: Person, code: str | None = None) -> Person:
    """The person in a new session, in whichever organization that is."""
    http = app.client()
    app.clients.append(http)
    body = {"email": person.email, "password": PASSWORD} | ({"code": code} if code is not None else {})
    answer = await http.post("/api/auth/login", json=body)
    assert answer.status_code == 200, answer.text
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    return Person(person.email, person.id, headers, http, answer.json()["organization_id"])


@pytest.fixture
async def owner(app: Application, fresh: str) -> Person:
    return await app.register(f"{fresh}-owner", "owner", f"org_{fresh}")


@pytest.fixture
async def left(app: Application, owner: Person, fresh: str) -> Person:
    """Somebody whom the owner took out of the organization, signed in again."""
    person = await app.register(f"{fresh}-left", "member", owner.organization_id)
    assert (await call(person, "POST", "/api/conversations", {"title": "a farewell"})).status_code == 201
    assert (await call(owner, "DELETE", f"/api/users/{person.id}")).status_code == 200
    assert (await call(person, "GET", "/api/auth/me")).status_code == 401
    return await signed_in(app, person)


async def invitation(owner: Person, **fields: Any) -> str:
    answer = await call(owner, "POST", "/api/invitations", fields)
    assert answer.status_code == 201
    return str(answer.json()["token"])


async def test_who_left_sees_to_their_own_account_and_nothing_else(left: Person, owner: Person) -> None:
    me = (await call(left, "GET", "/api/auth/me")).json()
    assert (me["email"], me["organizations"], me["permissions"]) == (left.email, [], [])
    for method, path in (
        ("GET", "/v1/models"),
        ("GET", "/api/conversations"),
        ("POST", "/api/keys"),
        ("GET", "/api/users"),
        ("GET", "/api/teams"),
        ("GET", "/api/admin/audit"),
    ):
        assert (await call(left, method, path, {} if method == "POST" else None)).status_code == 403, path
    assert (await call(left, "PATCH", "/api/auth/me", {"name": "still me"})).json()["name"] == "still me"
    sessions = (await call(left, "GET", "/api/auth/sessions")).json()["data"]
    assert True in {each["current"] for each in sessions}
    archive = zipfile.ZipFile(io.BytesIO((await call(left, "GET", "/api/auth/export")).content))
    named = [name for name in archive.namelist() if name.startswith(f"{owner.organization_id}/conversations/")]
    assert [b"a farewell" in archive.read(name) for name in named] == [True]
    assert b'"role": "member"' in archive.read(f"{owner.organization_id}/former_members.json")


async def test_who_left_goes_on_and_erases_themselves(app: Application, left: Person) -> None:
    renewed = await left.http.post("/api/auth/refresh", headers={"origin": app.origin})
    assert renewed.status_code == 200
    new = {"current": PASSWORD, "new": "another long password"}
    assert (await call(left, "POST", "/api/auth/password", new)).status_code == 200
    assert (await call(left, "POST", "/api/auth/erase", {"password": PASSWORD})).status_code == 401
    assert (await call(left, "POST", "/api/auth/erase", {"password": new["new"]})).status_code == 202
    assert (await call(left, "GET", "/api/auth/me")).status_code == 401


async def test_a_second_factor_is_asked_of_who_left(app: Application, owner: Person, fresh: str) -> None:
    person = await app.register(f"{fresh}-two", "member", owner.organization_id)
    phone = await App.of(person)
    assert (await call(owner, "DELETE", f"/api/users/{person.id}")).status_code == 200
    assert (await phone.login(None)).json()["error"]["code"] == "two_factor_required"
    assert (await phone.login(phone.wrong())).status_code == 401
    phone.forget_steps(app)
    again = await signed_in(app, person, phone.code())
    assert (await call(again, "GET", "/api/auth/export")).status_code == 200
    rows = await app.rows(Scope("default"), f"SELECT outcome FROM audit_log WHERE actor = '{person.id}'")
    assert "refused" in {row.outcome for row in rows}


async def test_who_left_is_erased_by_the_organization_they_left(app: Application, left: Person, owner: Person) -> None:
    path = f"/api/users/{left.id}/erase"
    stranger = await app.register(f"stranger-{left.id[-6:]}", "owner", f"org_s_{left.id[-6:]}")
    member = await app.register(f"member-{left.id[-6:]}", "member", owner.organization_id)
    assert (await call(stranger, "POST", path)).status_code == 404
    assert (await call(member, "POST", path)).status_code == 403
    assert (await call(owner, "POST", path)).status_code == 202
    assert (await call(left, "GET", "/api/auth/me")).status_code == 401
    assert (await call(owner, "POST", path)).status_code == 404
    ((erased,),) = query(app.postgres, "SELECT status FROM users WHERE id = %s", left.id)
    assert erased == "erased"


async def test_who_left_is_erased_by_who_runs_the_installation(app: Application, left: Person, fresh: str) -> None:
    root, plain = await app.register(f"{fresh}-root", "owner"), await app.register(f"{fresh}-plain")
    assert (await call(plain, "POST", f"/api/users/{left.id}/erase")).status_code == 403
    assert (await call(root, "POST", f"/api/users/{left.id}/erase")).status_code == 202


async def test_an_admin_does_not_erase_who_was_an_owner(app: Application, owner: Person, fresh: str) -> None:
    second = await app.register(f"{fresh}-second", "owner", owner.organization_id)
    admin = await app.register(f"{fresh}-admin", "admin", owner.organization_id)
    assert (await call(owner, "DELETE", f"/api/users/{second.id}")).status_code == 200
    assert (await call(admin, "POST", f"/api/users/{second.id}/erase")).status_code == 403
    assert (await call(owner, "POST", f"/api/users/{second.id}/erase")).status_code == 202


async def test_who_joined_another_organization_is_out_of_reach(
    app: Application, left: Person, owner: Person, fresh: str
) -> None:
    other = await app.register(f"{fresh}-other", "owner", f"org_o_{fresh}")
    token = await invitation(other, role="admin")
    assert (await call(left, "POST", "/api/invitations/accept", {"invitation": token})).status_code == 201
    root = await app.register(f"{fresh}-root", "owner")
    for former in (owner, root):
        assert (await call(former, "POST", f"/api/users/{left.id}/erase")).status_code == 404
    async with app.client() as http:  # the organization that is asked for, or none
        again = await http.post("/api/auth/login", json={"email": left.email, "password": PASSWORD})
        asked = {"organization_id": "default"}
        refused = await http.post("/api/auth/refresh", json=asked, headers={"origin": app.origin})
    assert (again.status_code, refused.status_code) == (200, 401)
    renewed = (await left.http.post("/api/auth/refresh", headers={"origin": app.origin})).json()
    assert renewed["organization_id"] == other.organization_id
    headers = {"authorization": f"Bearer {renewed['access_token']}"}
    assert (await call(left.within(headers), "GET", "/api/users")).status_code == 200


async def test_who_is_invited_back_is_a_member_again(app: Application, left: Person, owner: Person) -> None:
    token = await invitation(owner, email=left.email)
    body = {"email": left.email, "password": PASSWORD, "invitation": token}
    assert (await left.http.post("/api/auth/register", json=body)).status_code == 409
    assert (await call(left, "POST", "/api/invitations/accept", {"invitation": token})).status_code == 201
    again = await signed_in(app, left)
    assert again.organization_id == owner.organization_id
    (conversation,) = (await call(again, "GET", "/api/conversations")).json()["data"]
    assert conversation["title"] == "a farewell"
    assert query(app.postgres, "SELECT 1 FROM former_members WHERE user_id = %s", left.id) == []
    assert (await call(owner, "DELETE", f"/api/users/{left.id}")).status_code == 200


async def test_an_account_joins_a_second_organization(app: Application, owner: Person, fresh: str) -> None:
    person = await app.register(fresh)
    token = await invitation(owner, email=person.email, role="viewer")
    key = person.headers | {"idempotency-key": fresh}
    body = {"invitation": token}
    first, again = [await person.http.post("/api/invitations/accept", json=body, headers=key) for _ in range(2)]
    expected = {"object": "membership", "organization_id": owner.organization_id, "role": "viewer"}
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (201, expected)
    me = (await call(person, "GET", "/api/auth/me")).json()
    assert [each["id"] for each in me["organizations"]] == ["default", owner.organization_id]
    assert (await call(person, "POST", "/api/invitations/accept", body)).status_code == 400
    (row,) = await app.rows(
        Scope(owner.organization_id), "SELECT actor, target FROM audit_log WHERE action = 'invitation.accept'"
    )
    assert (row.actor, row.target) == (person.id, person.id)


async def test_an_invitation_is_not_accepted_by_others_or_twice(app: Application, owner: Person, fresh: str) -> None:
    one, two = await app.register(f"{fresh}-one"), await app.register(f"{fresh}-two")
    path = "/api/invitations/accept"
    named = await invitation(owner, email=one.email)
    assert (await call(two, "POST", path, {"invitation": named})).status_code == 400
    assert (await call(one, "POST", path, {"invitation": named})).status_code == 201
    open_to_all = await invitation(owner)
    assert (await call(one, "POST", path, {"invitation": open_to_all})).status_code == 409, "a member already"
    assert (await call(two, "POST", path, {"invitation": open_to_all})).status_code == 201, "it was not used up"
    assert (await call(two, "POST", path, {"invitation": "made up"})).status_code == 400
    key = (await call(one, "POST", "/api/keys", {"name": "k"})).json()["key"]
    by_key = {"authorization": f"Bearer {key}"}
    answer = await one.http.post(path, json={"invitation": await invitation(owner)}, headers=by_key)
    assert answer.status_code == 403


async def test_no_invitation_gives_a_role_that_is_gone(app: Application, owner: Person, fresh: str) -> None:
    person = await app.register(fresh)
    assert (await call(owner, "PUT", "/api/roles/weak", {"permissions": ["models:read"]})).status_code == 200
    token = await invitation(owner, role="weak")
    query(app.postgres, "DELETE FROM roles WHERE organization_id = %s", owner.organization_id)
    assert (await call(person, "POST", "/api/invitations/accept", {"invitation": token})).status_code == 400
    ((used,),) = query(app.postgres, "SELECT used_at FROM invitations WHERE digest = %s", digest_of(token))
    assert used is None
