"""Second factors that a role needs, in every session, and admins who reset them."""

import pytest

from tests.api.routes.test_two_factor import bearer, outcome
from tests.fixtures.application import PASSWORD, Application, Person
from tests.fixtures.database import query
from tests.fixtures.factors import App, PasskeyHolder


async def required(app: Application, owner: Person, roles: list[str]) -> None:
    answer = await owner.http.put("/api/admin/two-factor", json={"roles": roles}, headers=owner.headers)
    assert (answer.status_code, answer.json()["roles"]) == (200, sorted(roles))


@pytest.fixture
async def owner(app: Application, fresh: str) -> Person:
    return await app.register(f"{fresh}-owner", "owner", f"org_{fresh}")


async def test_a_role_that_needs_it_reaches_the_account_only(app: Application, fresh: str, owner: Person) -> None:
    member = await app.register(f"{fresh}-m", "member", owner.organization_id)
    viewer = await app.register(f"{fresh}-v", "viewer", owner.organization_id)
    await required(app, owner, ["member"])
    listing = "/api/teams"
    answer = await member.http.get(listing, headers=member.headers)
    assert outcome(answer) == (403, "two_factor_setup_required")
    export = await member.http.get("/api/auth/export", headers=member.headers)
    assert outcome(export) == (403, "two_factor_setup_required")
    me = (await member.http.get("/api/auth/me", headers=member.headers)).json()
    assert me["second_factor_needed"] is True
    assert (await viewer.http.get(listing, headers=viewer.headers)).status_code == 200
    phone = await App.of(member)
    assert (await member.http.get(listing, headers=member.headers)).status_code == 200
    again = await phone.login(phone.code(1))
    assert (await member.http.get(listing, headers=bearer(again))).status_code == 200
    await required(app, owner, [])
    got = await owner.http.get("/api/admin/two-factor", headers=owner.headers)
    assert got.json() == {"roles": []}


async def test_who_requires_it_names_roles_that_there_are(app: Application, fresh: str, owner: Person) -> None:
    put = "/api/admin/two-factor"
    answer = await owner.http.put(put, json={"roles": ["nobody"]}, headers=owner.headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "roles")
    await owner.http.put("/api/roles/clerk", json={"permissions": ["inference"]}, headers=owner.headers)
    await required(app, owner, ["clerk", "member"])
    member = await app.register(f"{fresh}-m", "member", owner.organization_id)
    assert (await member.http.put(put, json={"roles": []}, headers=member.headers)).status_code == 403
    kept = query(app.postgres, "SELECT settings FROM organizations WHERE id = %s", owner.organization_id)
    assert kept == [({"two_factor_roles": ["clerk", "member"]},)]


async def test_who_has_a_factor_must_show_it_in_every_session(app: Application, fresh: str) -> None:
    """A session that a provider vouches for, or one from before: it reaches the account only, and gains no factor."""
    phone = await App.of(await app.register(fresh))
    person = phone.person
    query(app.postgres, "UPDATE sessions SET methods = '{oidc:example}' WHERE user_id = %s", person.id)
    app.services.doorkeeper.forget()
    assert outcome(await person.http.get("/api/teams", headers=person.headers)) == (403, "two_factor_required")
    for method, path in (("GET", "export"), ("POST", "erase"), ("POST", "password")):
        answer = await person.http.request(method, f"/api/auth/{path}", headers=person.headers)
        assert outcome(answer) == (403, "two_factor_required"), path
    for path in ("totp", "passkeys/register/options"):
        answer = await person.http.post(
            f"/api/auth/{path}", json={"password": PASSWORD}, headers={**person.headers, "host": "localhost"}
        )
        assert outcome(answer) == (403, "two_factor_required"), path
    assert outcome(await phone.post("/api/auth/totp/verify", phone.wrong())) == (400, "invalid_two_factor_code")
    assert (await phone.post("/api/auth/totp/verify", phone.code(1))).status_code == 200
    assert (await person.http.get("/api/teams", headers=person.headers)).status_code == 200
    sessions = (await person.http.get("/api/auth/sessions", headers=person.headers)).json()["data"]
    assert sessions[0]["methods"] == ["oidc:example", "totp"]


async def test_an_admin_resets_a_members_factors(app: Application, fresh: str, owner: Person) -> None:
    member = await app.register(f"{fresh}-m", "member", owner.organization_id)
    phone = await App.of(member)
    assert (await PasskeyHolder.of(app, member).register()).status_code == 201
    reset = f"/api/users/{member.id}/two-factor"
    assert (await owner.http.delete(reset, headers=owner.headers)).status_code == 200
    assert (await member.http.get("/api/auth/me", headers=member.headers)).status_code == 401
    login = {"email": member.email, "password": PASSWORD, "organization_id": owner.organization_id}
    headers = bearer(await member.http.post("/api/auth/login", json=login))
    state = (await member.http.get("/api/auth/two-factor", headers=headers)).json()
    assert (state["totp"], state["passkeys"], state["recovery_codes_left"]) == (False, 0, 0)
    assert outcome(await phone.post("/api/auth/totp/verify", phone.code(1)))[0] == 401


async def test_who_may_reset_whom(app: Application, fresh: str, owner: Person) -> None:
    admin = await app.register(f"{fresh}-a", "admin", owner.organization_id)
    member = await app.register(f"{fresh}-m", "member", owner.organization_id)
    stranger = await app.register(f"{fresh}-s", "owner", f"org_{fresh}_other")

    async def reset(by: Person, whom: Person) -> int:
        return (await by.http.delete(f"/api/users/{whom.id}/two-factor", headers=by.headers)).status_code

    assert await reset(admin, owner) == 403
    assert await reset(admin, admin) == 403
    assert await reset(member, admin) == 403
    assert await reset(stranger, member) == 404
    assert await reset(admin, member) == 200
    query(app.postgres, "INSERT INTO memberships VALUES (%s, %s, 'member')", stranger.organization_id, member.id)
    assert await reset(admin, member) == 409, "the other organization's admins did not decide this"


async def test_a_key_has_no_second_factor(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    key = (await person.http.post("/api/keys", json={"name": "k"}, headers=person.headers)).json()["key"]
    headers = {"authorization": f"Bearer {key}"}
    for method, path in (("POST", "/api/auth/totp"), ("GET", "/api/auth/two-factor"), ("GET", "/api/auth/passkeys")):
        assert outcome(await person.http.request(method, path, headers=headers)) == (403, "forbidden")
