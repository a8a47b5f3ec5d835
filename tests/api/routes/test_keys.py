"""Keys of people and of the organization."""

from tests.fixtures.application import Application
from tests.fixtures.database import query


async def test_a_key_of_the_organization_outlives_its_maker(app: Application, fresh: str) -> None:
    org = f"org_{fresh}"
    admin = await app.register(fresh, "admin", org)
    http, headers = admin.http, admin.headers
    keys = []
    for owned_by in ("organization", "person"):
        body = {"name": "k", "permissions": ["models:read"], "owned_by": owned_by}
        made = (await http.post("/api/keys", json=body, headers=headers)).json()
        assert made["user_id"] == (admin.id if owned_by == "person" else None)
        keys.append({"authorization": f"Bearer {made['key']}"})
    query(app.postgres, "DELETE FROM memberships WHERE user_id = %s", admin.id)
    app.services.doorkeeper.forget()
    path = "/api/keys"
    assert [(await http.get(path, headers=each)).status_code for each in keys] == [403, 401]


async def test_a_member_makes_none_for_the_organization(app: Application, fresh: str) -> None:
    member = await app.register(fresh)
    body = {"name": "k", "owned_by": "organization"}
    answer = await member.http.post("/api/keys", json=body, headers=member.headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (403, "owned_by")


async def test_a_key_makes_none_that_outlives_it(app: Application, fresh: str) -> None:
    member = await app.register(fresh)
    path, http = "/api/keys", member.http
    short = (await http.post(path, json={"name": "short", "expires_in_s": 600}, headers=member.headers)).json()
    by_key = {"authorization": f"Bearer {short['key']}"}
    for asked, kept in ((None, short["expires_at"]), (86400, short["expires_at"]), (60, None)):
        body = {"name": "child"} | ({"expires_in_s": asked} if asked is not None else {})
        made = (await http.post(path, json=body, headers=by_key)).json()
        assert made["expires_at"] <= short["expires_at"]
        assert kept in (None, made["expires_at"])
    assert (await http.post(path, json={"name": "own"}, headers=member.headers)).json()["expires_at"] is None
