"""Teams as SCIM groups."""

import asyncio
from typing import Any

from api.db import scim as queries
from api.db import teams as team_queries
from api.db.session import Unit
from api.db.tables import Team
from api.ids import new_id
from api.scim.attributes import GROUPS, Resource, require, taken
from api.scim.desk import Desk
from api.scim.filters import Node
from api.scim.patch import patched
from api.scim.projection import Projection
from api.scim.resources import GROUP
from configs.errors import Conflict, InvalidValue, NotFound

LONGEST_NAME = 100
PATCHED_HERE, PATCHED_HERE_BYTES = 500, 16 * 1024
"""Members of a team, and size of a body, whose change is computed on the loop; more take a thread."""
NO_GROUP = "There is no such group."


async def listed(
    desk: Desk, wanted: Node | None, projection: Projection, *, skip: int, limit: int
) -> tuple[int, list[Resource]]:
    """How many teams fit, and a page of them."""
    async with desk.database.unit(desk.scope()) as unit:
        total, rows = await queries.teams(unit, desk.organization_id, wanted, skip=skip, limit=limit)
        people: dict[str, list[str]] = {}
        if projection.wants("members"):
            people = await queries.people_in(unit, [row.id for row in rows])
    return total, [told(desk, row, people.get(row.id, [])) for row in rows]


async def get(desk: Desk, team_id: str) -> Resource:
    """One team.

    Raises:
        NotFound: there is none of that id.
    """
    async with desk.database.unit(desk.scope()) as unit:
        return await _told(desk, unit, await _found(desk, unit, team_id))


async def create(desk: Desk, unit: Unit, body: Any) -> Resource:  # noqa: ANN401  any JSON
    """A new team with its people, in the organization's unit of work.

    Raises:
        Conflict: the displayName is another team's.
        InvalidValue: the body does not fit the schema, or names nobody of the organization.
    """
    asked = checked(taken(GROUPS, body))
    try:
        team = await team_queries.add(
            unit, desk.organization_id, new_id("team"), asked["displayName"], asked.get("externalId")
        )
    except Conflict as error:
        raise Conflict("There is a group of that displayName already.", param="displayName") from error
    await desk.record(unit, "team.create", team.id)
    await _set_people(desk, unit, team, set(), people_of(asked))
    return await _told(desk, unit, team)


async def replace(desk: Desk, team_id: str, body: Any) -> Resource:  # noqa: ANN401  any JSON
    """PUT. Errors as `create`, and NotFound."""
    asked = checked(taken(GROUPS, body))
    async with desk.database.unit(desk.scope()) as unit:
        team = await _found(desk, unit, team_id)
        return await _change(desk, unit, team, (await queries.people_in(unit, [team.id]))[team.id], asked)


async def patch(desk: Desk, team_id: str, body: Any) -> Resource:  # noqa: ANN401  any JSON
    """PATCH. Errors as `api.scim.patch.patched` and `create`, and NotFound."""
    async with desk.database.unit(desk.scope()) as unit:
        team = await _found(desk, unit, team_id)
        people = (await queries.people_in(unit, [team.id]))[team.id]
        before = taken(GROUPS, told(desk, team, people))
        if len(people) > PATCHED_HERE or len(desk.context.body) > PATCHED_HERE_BYTES:
            asked = await asyncio.to_thread(patched, GROUPS, before, body)
        else:
            asked = patched(GROUPS, before, body)
        return await _change(desk, unit, team, people, checked(asked))


async def remove(desk: Desk, team_id: str) -> None:
    """DELETE: what the team shared belongs to its makers again.

    Raises:
        NotFound: there is none of that id.
    """
    async with desk.database.unit(desk.scope()) as unit:
        if not await team_queries.remove(unit, desk.organization_id, team_id):
            raise NotFound(NO_GROUP, param="team_id")
        await desk.record(unit, "team.remove", team_id)


def told(desk: Desk, team: Team, people: list[str]) -> Resource:
    """A team as SCIM has it."""
    body: Resource = {
        "schemas": [GROUP],
        "id": team.id,
        "externalId": team.external_id,
        "displayName": team.name,
        "members": [{"value": each, "$ref": f"{desk.base}/Users/{each}", "type": "User"} for each in people],
        "meta": {
            "resourceType": "Group",
            "created": team.created_at.isoformat(),
            "lastModified": team.updated_at.isoformat(),
            "location": f"{desk.base}/Groups/{team.id}",
        },
    }
    return {name: value for name, value in body.items() if value not in (None, [])}


def checked(asked: Resource) -> Resource:
    """A group that can be a team.

    Raises:
        InvalidValue: its name is missing or too long.
    """
    if len(require(GROUPS, asked)["displayName"]) > LONGEST_NAME:
        raise InvalidValue(f"'displayName' is longer than {LONGEST_NAME} characters.")
    return asked


def people_of(asked: Resource) -> set[str]:
    """The ids of a group's members.

    Raises:
        InvalidValue: one has none.
    """
    try:
        return {each["value"] for each in asked.get("members", [])}
    except KeyError:
        raise InvalidValue("Each of 'members' needs its `value`, the id of a user.") from None


async def _found(desk: Desk, unit: Unit, team_id: str) -> Team:
    team = await queries.team(unit, desk.organization_id, team_id)
    if team is None:
        raise NotFound(NO_GROUP, param="team_id")
    return team


async def _told(desk: Desk, unit: Unit, team: Team) -> Resource:
    await unit.refresh(team)
    return told(desk, team, (await queries.people_in(unit, [team.id]))[team.id])


async def _change(desk: Desk, unit: Unit, team: Team, people: list[str], asked: Resource) -> Resource:
    name, external_id = asked["displayName"], asked.get("externalId")
    if (name, external_id) != (team.name, team.external_id):
        await queries.name_team(unit, team.id, name, external_id)
        await desk.record(unit, "team.change", team.id)
    await _set_people(desk, unit, team, set(people), people_of(asked))
    return await _told(desk, unit, team)


async def _set_people(desk: Desk, unit: Unit, team: Team, before: set[str], after: set[str]) -> None:
    joining, leaving = after - before, before - after
    if joining:
        joined = await queries.join_all(unit, desk.organization_id, team.id, sorted(joining))
        if len(joined) < len(joining):
            raise InvalidValue("One of 'members' is no user of this organization.")
    if leaving:
        await queries.leave_all(unit, desk.organization_id, team.id, sorted(leaving))
    await desk.record_each(unit, "team.join", sorted(joining), team=team.id)
    await desk.record_each(unit, "team.leave", sorted(leaving), team=team.id)
