"""Groups: teams that a directory keeps."""

import threading
from typing import Any

import pytest

from api.scim import groups
from api.scim.patch import patched
from tests.api.scim.conftest import Directory


async def test_a_team_is_made_found_and_changed(directory: Directory, fresh: str) -> None:
    people = [(await directory.user(f"{fresh}{number}"))["id"] for number in range(3)]
    made = await directory.made(
        "/Groups", {"displayName": "Team", "externalId": "g1", "members": [{"value": each} for each in people[:2]]}
    )
    assert [each["value"] for each in made["members"]] == sorted(people[:2])
    for text in ('displayName eq "TEAM"', 'externalId eq "g1"', f'members eq "{people[0]}"', 'displayName sw "te"'):
        assert [each["id"] for each in await directory.listed("/Groups", filter=text)] == [made["id"]], text
    user = (await directory.call("GET", f"/Users/{people[0]}")).json()
    assert [(each["value"], each["display"]) for each in user["groups"]] == [(made["id"], "Team")]
    path = f"/Groups/{made['id']}"
    answer = await directory.patch(
        path,
        {"op": "add", "path": "members", "value": [{"value": people[2]}]},
        {"op": "remove", "path": f'members[value eq "{people[0]}"]'},
        {"op": "replace", "path": "displayName", "value": "Renamed"},
    )
    assert (answer.status_code, answer.json()["displayName"]) == (200, "Renamed")
    assert [each["value"] for each in answer.json()["members"]] == sorted(people[1:])
    teams = (await directory.owner.http.get("/api/teams", headers=directory.owner.headers)).json()["data"]
    assert [team["name"] for team in teams] == ["Renamed"]
    replaced = (await directory.call("PUT", path, {"displayName": "Empty"})).json()
    assert not {"members", "externalId"} & replaced.keys()
    assert "members" not in (await directory.call("GET", path, excludedAttributes="members")).json()
    assert (await directory.call("DELETE", path)).status_code == 204
    assert (await directory.call("GET", path)).status_code == 404
    assert (await directory.call("DELETE", path)).status_code == 404


async def test_names_are_given_once(directory: Directory) -> None:
    await directory.made("/Groups", {"displayName": "One"})
    two = await directory.made("/Groups", {"displayName": "Two"})
    for answer in (
        await directory.call("POST", "/Groups", {"displayName": "One"}),
        await directory.call("PUT", f"/Groups/{two['id']}", {"displayName": "One"}),
    ):
        assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")


async def test_only_members_of_the_organization_come_in(directory: Directory, fresh: str) -> None:
    stranger = await directory.app.register(f"{fresh}-stranger")
    made = await directory.made("/Groups", {"displayName": "Team"})
    for value in (stranger.id, "user_nobody"):
        body = {"op": "add", "path": "members", "value": [{"value": value}]}
        answer = await directory.patch(f"/Groups/{made['id']}", body)
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    answer = await directory.call("POST", "/Groups", {"displayName": "Other", "members": [{"type": "User"}]})
    assert answer.status_code == 400
    assert await directory.listed("/Groups", filter='displayName eq "Other"') == []
    answer = await directory.call("POST", "/Groups", {"displayName": "x" * 101})
    assert answer.status_code == 400


async def test_who_leaves_the_organization_leaves_its_teams(directory: Directory, fresh: str) -> None:
    person = await directory.user(fresh)
    made = await directory.made("/Groups", {"displayName": "Team", "members": [{"value": person["id"]}]})
    await directory.call("DELETE", f"/Users/{person['id']}")
    assert "members" not in (await directory.call("GET", f"/Groups/{made['id']}")).json()


async def test_a_large_team_is_changed_in_one_request(directory: Directory) -> None:
    from tests.fixtures.database import query

    org = directory.owner.organization_id
    query(
        directory.app.postgres,
        "WITH made AS (INSERT INTO users (id, email) SELECT %s || n, %s || n || '@example.com'"
        " FROM generate_series(1, 2000) n RETURNING id) INSERT INTO memberships SELECT %s, id, 'member' FROM made",
        f"user_{org}_", f"{org}_", org,
    )  # fmt: skip
    everybody = [{"value": f"user_{org}_{number}"} for number in range(1, 2001)]
    made = await directory.made("/Groups", {"displayName": "All", "members": everybody[:1500]})
    assert len(made["members"]) == 1500
    removed = [{"op": "remove", "path": f'members[value eq "{each["value"]}"]'} for each in everybody[:300]]
    answer = await directory.patch(
        f"/Groups/{made['id']}", *removed, {"op": "add", "path": "members", "value": everybody[1500:]}
    )
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["members"]) == 1700


async def test_a_large_body_is_worked_on_beside_the_loop(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the team is small: what counts is the work."""
    threads: list[bool] = []

    def noted(*arguments: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return patched(*arguments)

    monkeypatch.setattr(groups, "patched", noted)
    made = await directory.made("/Groups", {"displayName": "Team"})
    for members in (1, 2000):
        value = [{"value": f"user_{number}"} for number in range(members)]
        answer = await directory.patch(f"/Groups/{made['id']}", {"op": "add", "path": "members", "value": value})
        assert answer.status_code == 400
    assert threads == [True, False]
