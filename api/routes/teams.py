"""Teams and projects."""

from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field

from api.answers import json_answer
from api.audit.record import record
from api.context import context_of
from api.db import logins
from api.db import teams as team_queries
from api.db.notifications import notify
from api.db.session import Unit
from api.documents import takes
from api.idempotency import once
from api.ids import new_id
from api.pages import whole
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.services import services_of
from api.sharing import unshared
from api.validation import Wire, read
from configs.errors import NotFound

router = guarded_router()

Name = Annotated[str, Field(min_length=1, max_length=100)]
NO_TEAM, NO_PROJECT = "There is no such team.", "There is no such project."


class TeamRequest(Wire):
    """Its name."""

    name: Name


class ProjectRequest(Wire):
    """Its name, and the team it belongs to."""

    name: Name
    team_id: Annotated[str, Field(max_length=64)] | None = None


@router.get("/api/teams", tags=["Organization"])
@requires(Permission.TEAMS_READ)
async def list_teams(request: Request) -> Response:
    """The caller's teams; all of them for who may change them."""
    principal = caller(request)
    own = None if principal.may(Permission.TEAMS_WRITE) else principal.user_id
    async with services_of(request).database.unit(principal.scope) as unit:
        rows = await team_queries.all_teams(unit, principal.organization_id, own)
    return whole([team_queries.as_json(row) for row in rows])


@router.post("/api/teams", tags=["Organization"], status_code=201, openapi_extra=takes(TeamRequest))
@requires(Permission.TEAMS_WRITE)
async def add_team(request: Request) -> Response:
    """Make a team."""
    principal, context = caller(request), context_of(request.scope)
    asked = read(TeamRequest, context)

    async def effect(unit: Unit) -> dict[str, Any]:
        team = await team_queries.add(unit, principal.organization_id, new_id("team"), asked.name)
        await record(unit, context, "team.create", target=team.id)
        return team_queries.as_json(team)

    return await once(request, effect)


@router.patch("/api/teams/{team_id}", tags=["Organization"], openapi_extra=takes(TeamRequest))
@requires(Permission.TEAMS_WRITE)
async def rename_team(request: Request, team_id: str) -> Response:
    """Another name."""
    principal, context = caller(request), context_of(request.scope)
    asked = read(TeamRequest, context)
    async with services_of(request).database.unit(principal.scope) as unit:
        if not await team_queries.rename(unit, principal.organization_id, team_id, asked.name):
            raise NotFound(NO_TEAM, param="team_id")
        await record(unit, context, "team.change", target=team_id, attributes=["name"])
    return json_answer({"id": team_id, "object": "team", "name": asked.name})


@router.delete("/api/teams/{team_id}", tags=["Organization"])
@requires(Permission.TEAMS_WRITE)
async def remove_team(request: Request, team_id: str) -> Response:
    """Remove a team. What it shared stays with those who made it."""
    principal, services, context = caller(request), services_of(request), context_of(request.scope)

    async def act() -> None:
        async with services.database.unit(principal.scope) as unit:
            if not await team_queries.remove(unit, principal.organization_id, team_id):
                raise NotFound(NO_TEAM, param="team_id")
            await record(unit, context, "team.remove", target=team_id)
            await notify(unit, logins.CHANNEL)

    await unshared(services.database, services.conversations, act)
    return json_answer({"id": team_id, "object": "team", "deleted": True})


@router.get("/api/teams/{team_id}/members", tags=["Organization"])
@requires(Permission.TEAMS_READ)
async def list_members(request: Request, team_id: str) -> Response:
    """Who is in a team."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        team = await team_queries.get(unit, principal.organization_id, team_id)
        members = await team_queries.members(unit, team_id)
    mine = principal.may(Permission.TEAMS_WRITE) or principal.user_id in members
    if team is None or not mine:
        raise NotFound(NO_TEAM, param="team_id")
    return whole([{"id": each, "object": "team_member"} for each in members])


@router.put("/api/teams/{team_id}/members/{user_id}", tags=["Organization"])
@requires(Permission.TEAMS_WRITE)
async def add_member(request: Request, team_id: str, user_id: str) -> Response:
    """Put a member of the organization into a team."""
    principal, context = caller(request), context_of(request.scope)
    async with services_of(request).database.unit(principal.scope) as unit:
        if await team_queries.get(unit, principal.organization_id, team_id) is None:
            raise NotFound(NO_TEAM, param="team_id")
        if not await team_queries.join(unit, principal.organization_id, team_id, user_id):
            raise NotFound("There is no such user.", param="user_id")
        await record(unit, context, "team.join", target=user_id, team=team_id)
    return json_answer({"id": user_id, "object": "team_member", "team_id": team_id})


@router.delete("/api/teams/{team_id}/members/{user_id}", tags=["Organization"])
@requires(Permission.TEAMS_WRITE)
async def remove_member(request: Request, team_id: str, user_id: str) -> Response:
    """Take somebody out of a team; the conversations that they shared with it are theirs alone again."""
    principal, services, context = caller(request), services_of(request), context_of(request.scope)

    async def act() -> None:
        async with services.database.unit(principal.scope) as unit:
            if not await team_queries.leave(unit, principal.organization_id, team_id, user_id):
                raise NotFound("This user is not in this team.", param="user_id")
            await record(unit, context, "team.leave", target=user_id, team=team_id)

    await unshared(services.database, services.conversations, act)
    return json_answer({"id": user_id, "object": "team_member", "removed": True})


@router.get("/api/projects", tags=["Organization"])
@requires(Permission.TEAMS_READ)
async def list_projects(request: Request) -> Response:
    """The organization's projects."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        rows = await team_queries.all_projects(unit, principal.organization_id)
    return whole([team_queries.project_as_json(row) for row in rows])


@router.post("/api/projects", tags=["Organization"], status_code=201, openapi_extra=takes(ProjectRequest))
@requires(Permission.TEAMS_WRITE)
async def add_project(request: Request) -> Response:
    """Make a project."""
    principal, context = caller(request), context_of(request.scope)
    asked = read(ProjectRequest, context)

    async def effect(unit: Unit) -> dict[str, Any]:
        if asked.team_id is not None and await team_queries.get(unit, principal.organization_id, asked.team_id) is None:
            raise NotFound(NO_TEAM, param="team_id")
        row = await team_queries.add_project(unit, principal.organization_id, new_id("proj"), asked.name, asked.team_id)
        await record(unit, context, "project.create", target=row.id)
        return team_queries.project_as_json(row)

    return await once(request, effect)


@router.patch("/api/projects/{project_id}", tags=["Organization"], openapi_extra=takes(TeamRequest))
@requires(Permission.TEAMS_WRITE)
async def rename_project(request: Request, project_id: str) -> Response:
    """Another name."""
    principal, context = caller(request), context_of(request.scope)
    asked = read(TeamRequest, context)
    async with services_of(request).database.unit(principal.scope) as unit:
        if not await team_queries.rename_project(unit, principal.organization_id, project_id, asked.name):
            raise NotFound(NO_PROJECT, param="project_id")
        await record(unit, context, "project.change", target=project_id, attributes=["name"])
    return json_answer({"id": project_id, "object": "project", "name": asked.name})


@router.delete("/api/projects/{project_id}", tags=["Organization"])
@requires(Permission.TEAMS_WRITE)
async def remove_project(request: Request, project_id: str) -> Response:
    """Remove a project; what was sorted by it stays."""
    principal, context = caller(request), context_of(request.scope)
    async with services_of(request).database.unit(principal.scope) as unit:
        if not await team_queries.remove_project(unit, principal.organization_id, project_id):
            raise NotFound(NO_PROJECT, param="project_id")
        await record(unit, context, "project.remove", target=project_id)
    return json_answer({"id": project_id, "object": "project", "deleted": True})
