"""People under a directory: who comes, who goes, and whom it cannot reach."""

from typing import Any

import pytest

from api.scope import Scope
from tests.api.scim.conftest import Directory, directory_of
from tests.fixtures.application import PASSWORD, Application
from tests.fixtures.database import query

USERS = "/Users"


async def test_a_person_is_made_found_and_changed(directory: Directory, fresh: str) -> None:
    made = await directory.user(
        fresh,
        externalId="00u1",
        displayName="Ada",
        active=True,
        emails=[{"value": f"{fresh}@example.com", "primary": True}],
    )
    assert made["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:User"]
    assert made["meta"]["location"] == f"{directory.app.origin}/scim/v2/Users/{made['id']}"
    for text in (
        f'userName eq "{fresh.upper()}@Example.com"',
        'externalId eq "00u1"',
        'displayName sw "ad" and active eq true',
        f'emails eq "{fresh}@EXAMPLE.com"',
        f'emails.value co "{fresh}@"',
        'displayName eq "Nobody" or externalId eq "00u1"',
        'not (displayName ne "ada")',
        f'id eq "{made["id"]}"',
        'externalId pr and name.givenName ne "x"',
    ):
        assert [each["id"] for each in await directory.listed("/Users", filter=text)] == [made["id"]], text
    assert await directory.listed("/Users", filter='userName eq "%@example.com"') == []
    assert await directory.listed("/Users", filter='userName co "%"') == []
    body = {"userName": f"{fresh}@example.com", "name": {"givenName": "A", "familyName": "B"}}
    replaced = (await directory.call("PUT", f"/Users/{made['id']}", body)).json()
    assert replaced["name"] == {"givenName": "A", "familyName": "B"}
    assert not {"displayName", "emails", "externalId"} & replaced.keys()
    assert replaced["active"] is True
    listed = (await directory.owner.http.get("/api/users", headers=directory.owner.headers)).json()["data"]
    assert ("A B", "member") in [(each["name"], each["role"]) for each in listed]


async def test_members_from_before_are_found_by_their_address(directory: Directory, fresh: str) -> None:
    member = await directory.app.register(f"{fresh}-before", "member", directory.owner.organization_id)
    (found,) = await directory.listed("/Users", filter=f'userName eq "{member.email}"')
    assert (found["id"], found["userName"]) == (member.id, member.email)
    again = await directory.call("POST", "/Users", {"userName": member.email})
    assert (again.status_code, again.json()["scimType"]) == (409, "uniqueness")
    changed = await directory.patch(f"/Users/{member.id}", {"op": "add", "path": "externalId", "value": "00u2"})
    assert (changed.status_code, changed.json()["externalId"]) == (200, "00u2")


async def test_disabling_ends_sessions_and_keys_at_once(directory: Directory, fresh: str) -> None:
    member = await directory.app.register(f"{fresh}-leaver", "member", directory.owner.organization_id)
    key = (await member.http.post("/api/keys", json={"name": "k"}, headers=member.headers)).json()["key"]
    by_key = {"authorization": f"Bearer {key}"}
    assert (await member.http.get("/v1/models", headers=by_key)).status_code == 200
    answer = await directory.patch(f"/Users/{member.id}", {"op": "Replace", "path": "active", "value": "False"})
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    for headers in (member.headers, by_key):
        assert (await member.http.get("/v1/models", headers=headers)).status_code == 401
    login = {"email": member.email, "password": PASSWORD}
    assert (await member.http.post("/api/auth/login", json=login)).status_code == 401
    answer = await directory.patch(f"/Users/{member.id}", {"op": "replace", "value": {"active": True}})
    assert answer.json()["active"] is True
    assert (await member.http.post("/api/auth/login", json=login)).status_code == 200
    assert (await member.http.get("/v1/models", headers=member.headers)).status_code == 401


async def test_who_is_sent_away_can_come_back_as_the_same(directory: Directory, fresh: str) -> None:
    made = await directory.user(fresh, displayName="Ada", emails=[{"value": f"{fresh}-mail@example.com"}])
    assert (await directory.call("DELETE", f"/Users/{made['id']}")).status_code == 204
    assert (await directory.call("GET", f"/Users/{made['id']}")).status_code == 404
    assert (await directory.call("DELETE", f"/Users/{made['id']}")).status_code == 404
    assert query(directory.app.postgres, "SELECT status FROM users WHERE id = %s", made["id"]) == [("disabled",)]
    assert query(directory.app.postgres, "SELECT profile FROM directory_users WHERE user_id = %s", made["id"]) == [
        ({},)
    ]
    again = await directory.user(fresh, displayName="Ada again", emails=[{"value": f"{fresh}-new@example.com"}])
    assert (again["id"], again["active"], again["displayName"]) == (made["id"], True, "Ada again")
    email = query(directory.app.postgres, "SELECT email FROM users WHERE id = %s", made["id"])
    assert email == [(f"{fresh}-new@example.com",)]


async def test_an_account_of_another_organization_is_not_taken_over(
    app: Application, directory: Directory, fresh: str
) -> None:
    stranger = await app.register(f"{fresh}-stranger", "member", f"org_elsewhere_{fresh}")
    for body in (
        {"userName": stranger.email},
        {"userName": f"{fresh}-x", "emails": [{"value": stranger.email.upper(), "primary": True}]},
    ):
        answer = await directory.call("POST", "/Users", body)
        assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    made = await directory.user(f"{fresh}-own")
    value = {"emails": [{"value": stranger.email}]}
    assert (await directory.patch(f"/Users/{made['id']}", {"op": "add", "value": value})).status_code == 409
    for method in ("GET", "PUT", "DELETE"):
        sent = {"userName": "x"} if method == "PUT" else None
        assert (await directory.call(method, f"/Users/{stranger.id}", sent)).status_code == 404
    assert (await stranger.http.get("/api/auth/me", headers=stranger.headers)).json()["email"] == stranger.email


async def test_somebody_of_two_organizations_only_leaves_this_one(
    app: Application, directory: Directory, fresh: str
) -> None:
    org = directory.owner.organization_id
    both = await app.register(f"{fresh}-both", "member", org)
    query(app.postgres, "INSERT INTO memberships VALUES ('default', %s, 'member')", both.id)
    answer = await directory.patch(f"/Users/{both.id}", {"op": "replace", "path": "active", "value": False})
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert (await directory.call("GET", f"/Users/{both.id}")).status_code == 404
    login = {"email": both.email, "password": PASSWORD}
    assert (await both.http.post("/api/auth/login", json=login)).json()["organization_id"] == "default"
    assert (await directory.call("POST", "/Users", {"userName": both.email})).status_code == 409


async def test_the_last_owner_stays(directory: Directory) -> None:
    path = f"/Users/{directory.owner.id}"
    assert (await directory.call("DELETE", path)).status_code == 409
    answer = await directory.patch(path, {"op": "replace", "path": "active", "value": False})
    assert (answer.status_code, "owner" in answer.json()["detail"]) == (409, True)
    me = await directory.owner.http.get("/api/auth/me", headers=directory.owner.headers)
    assert me.status_code == 200


@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_the_address_of_the_powerful_is_not_the_directorys(directory: Directory, fresh: str, role: str) -> None:
    """Else whoever has the directory's token could have a link for an owner's new password sent to themselves."""
    made = await directory.user(f"{fresh}-{role}")
    org = directory.owner.organization_id
    query(directory.app.postgres, "UPDATE memberships SET role = %s WHERE user_id = %s", role, made["id"])
    body = {"userName": "x@example.com", "emails": [{"value": f"{fresh}-taker@example.com"}]}
    for user_id in (made["id"], directory.owner.id):
        assert (await directory.call("PUT", f"/Users/{user_id}", {**body, "userName": user_id})).status_code == 200
    emails = {row.email for row in await directory.app.rows(Scope(org), "SELECT email FROM users")}
    assert emails == {f"{fresh}-{role}@example.com", directory.owner.email}


async def test_a_members_address_follows_the_directory(directory: Directory, fresh: str) -> None:
    made = await directory.user(fresh)
    value = [{"value": f"{fresh}-new@example.com", "primary": True}]
    await directory.patch(f"/Users/{made['id']}", {"op": "replace", "path": "emails", "value": value})
    email = query(directory.app.postgres, "SELECT email, email_verified_at FROM users WHERE id = %s", made["id"])
    assert email == [(f"{fresh}-new@example.com", None)]


async def test_pages(directory: Directory, fresh: str) -> None:
    ids = sorted([(await directory.user(f"{fresh}{number}"))["id"] for number in range(5)] + [directory.owner.id])
    found = []
    for start in (1, 3, 5):
        body = (await directory.call("GET", "/Users", startIndex=start, count=2)).json()
        assert (body["totalResults"], body["startIndex"], body["itemsPerPage"]) == (6, start, 2)
        found += [each["id"] for each in body["Resources"]]
    assert found == ids
    for params, count in (({"count": 0}, 0), ({"count": -3}, 0), ({"startIndex": -3, "count": 1}, 1),
                          ({"startIndex": 2**31 - 1}, 0), ({"startIndex": 7}, 0)):  # fmt: skip
        body = (await directory.call("GET", "/Users", **params)).json()
        assert (body["totalResults"], len(body["Resources"])) == (6, count)


async def test_attributes(directory: Directory, fresh: str) -> None:
    made = await directory.user(fresh, name={"givenName": "A", "familyName": "B"}, displayName="A B")
    path = f"/Users/{made['id']}"
    only = (await directory.call("GET", path, attributes="userName, name.givenName")).json()
    assert only.keys() == {"schemas", "id", "userName", "name"}
    assert only["name"] == {"givenName": "A"}
    but = (await directory.call("GET", path, excludedAttributes="name.givenName,displayName,id")).json()
    assert but.keys() == made.keys() - {"displayName"}
    assert but["name"] == {"familyName": "B"}
    assert (await directory.call("GET", path, attributes="id", excludedAttributes="name")).status_code == 400


REFUSED: list[tuple[str, str, Any, int, str | None]] = [
    ("POST", "/Users", {}, 400, "invalidValue"),
    ("POST", "/Users", {"userName": " "}, 400, "invalidValue"),
    ("POST", "/Users", {"userName": 3}, 400, "invalidValue"),
    ("POST", "/Users", {"userName": "x", "active": "perhaps"}, 400, "invalidValue"),
    ("POST", "/Users", [], 400, "invalidValue"),
    ("GET", "/Users?filter=nonsense", None, 400, "invalidFilter"),
    ("GET", '/Users?filter=title eq "x"', None, 400, "invalidFilter"),
    ("GET", '/Users?filter=emails[type eq "work"]', None, 400, "invalidFilter"),
    ("GET", '/Users?filter=active eq "x"', None, 400, "invalidFilter"),
    ("GET", "/Users?filter=userName eq 3", None, 400, "invalidFilter"),
    ("GET", "/Users?count=x", None, 400, "invalidSyntax"),
    ("GET", f"{USERS}/nobody", None, 404, None),
    ("PATCH", f"{USERS}/nobody", {"Operations": [{"op": "remove"}]}, 404, None),
    ("GET", "/Nothing", None, 404, None),
    ("POST", "/Schemas", {}, 405, None),
    ("POST", "/.search", {"count": "x"}, 400, "invalidSyntax"),
    ("POST", "/.search", {"filter": 'userName eq "x" and members eq "y"'}, 400, "invalidFilter"),
    ("POST", "/.search", {"attributes": 3}, 400, "invalidSyntax"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "kind"), REFUSED, ids=range(len(REFUSED)))
async def test_errors_are_scims(
    directory: Directory, method: str, path: str, body: Any, status: int, kind: str | None
) -> None:
    answer = await directory.call(method, path, body)
    told = answer.json()
    assert (answer.status_code, told["status"], told.get("scimType")) == (status, str(status), kind)
    assert told["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert answer.headers["content-type"] == "application/scim+json"


async def test_a_broken_body_is_refused_in_scims_shape(directory: Directory) -> None:
    headers = {**directory.headers, "content-type": "application/scim+json; charset=utf-8"}
    answer = await directory.http.post("/scim/v2/Users", content=b'{"userName": NaN}', headers=headers)
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidSyntax")
    answer = await directory.http.post(
        "/scim/v2/Users", content=b"x", headers={**headers, "content-type": "text/plain"}
    )
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")


async def test_a_token_without_scim_gets_nowhere(app: Application, directory: Directory, fresh: str) -> None:
    member = await app.register(fresh, "member", directory.owner.organization_id)
    answer = await member.http.get("/scim/v2/Users", headers=member.headers)
    assert (answer.status_code, answer.json()["status"]) == (403, "403")
    answer = await member.http.get("/scim/v2/Users")
    assert (answer.status_code, answer.json()["status"]) == (401, "401")
    assert (await directory.http.get("/api/users", headers=directory.headers)).status_code == 403


async def test_search_goes_through_users_and_groups(directory: Directory, fresh: str) -> None:
    made = await directory.user(fresh, displayName="Same")
    group = await directory.made("/Groups", {"displayName": "Same"})
    answer = await directory.call(
        "POST", "/.search", {"filter": 'displayName eq "same"', "attributes": ["displayName"]}
    )
    assert [each["id"] for each in answer.json()["Resources"]] == [made["id"], group["id"]]
    answer = await directory.call("POST", "/.search", {"filter": 'displayName eq "same"', "startIndex": 2, "count": 5})
    assert (answer.json()["totalResults"], [each["id"] for each in answer.json()["Resources"]]) == (2, [group["id"]])
    answer = await directory.call("POST", "/Users/.search", {"filter": 'displayName eq "same"'})
    assert [each["id"] for each in answer.json()["Resources"]] == [made["id"]]
    answer = await directory.call("POST", "/.search", {"filter": 'userName sw "person"', "count": 1})
    assert answer.json()["totalResults"] >= 1


async def test_the_audit_log_tells_what_a_directory_did(directory: Directory, fresh: str) -> None:
    made = await directory.user(fresh, displayName="Ada Secret")
    await directory.patch(f"/Users/{made['id']}", {"op": "replace", "path": "displayName", "value": "Other Secret"})
    await directory.patch(f"/Users/{made['id']}", {"op": "replace", "path": "active", "value": False})
    await directory.call("DELETE", f"/Users/{made['id']}")
    answer = await directory.owner.http.get(f"/api/admin/audit?target={made['id']}", headers=directory.owner.headers)
    rows = answer.json()["data"]
    assert [row["action"] for row in rows] == ["user.remove", "user.status", "user.change", "user.create"]
    assert all(row["actor"].startswith("key_") and row["details"]["by"] == "scim" for row in rows)
    assert "Secret" not in answer.text


async def test_two_directories_do_not_see_each_other(app: Application, directory: Directory, fresh: str) -> None:
    owner = await app.register(f"{fresh}-second", "owner", f"org_second_{fresh}")
    second = await directory_of(app, owner)
    made = await directory.made("/Users", {"userName": "shared-name"})
    twin = await second.made("/Users", {"userName": "shared-name"})
    assert made["id"] != twin["id"]
    assert (await second.call("GET", f"/Users/{made['id']}")).status_code == 404
    assert [each["id"] for each in await second.listed("/Users", filter='userName eq "SHARED-name"')] == [twin["id"]]


async def test_who_comes_back_has_no_old_keys(directory: Directory, fresh: str) -> None:
    member = await directory.app.register(f"{fresh}-again", "member", directory.owner.organization_id)
    key = (await member.http.post("/api/keys", json={"name": "k"}, headers=member.headers)).json()["key"]
    assert (await directory.call("DELETE", f"/Users/{member.id}")).status_code == 204
    back = await directory.made("/Users", {"schemas": [], "userName": member.email, "active": True})
    assert (back["id"], back["active"]) == (member.id, True)
    answer = await member.http.get("/v1/models", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 401


async def test_who_is_renamed_and_sent_away_at_once_leaves(directory: Directory, fresh: str) -> None:
    member = await directory.app.register(f"{fresh}-both", "member", directory.owner.organization_id)
    query(directory.app.postgres, "INSERT INTO memberships VALUES ('default', %s, 'member')", member.id)
    answer = await directory.patch(
        f"/Users/{member.id}", {"op": "replace", "value": {"active": False, "displayName": "Another"}}
    )
    assert (answer.status_code, answer.json().get("active")) == (200, False)
    assert (await directory.call("GET", f"/Users/{member.id}")).status_code == 404
