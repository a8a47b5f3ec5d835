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
