"""Queries on teams and projects. The unit's scope is the organization."""

from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.sharing import check_unshared
from api.db.tables import Project, Team, TeamMember
from configs.errors import Conflict

TAKEN = "There is one of that name already."


async def all_teams(session: AsyncSession, organization_id: str, user_id: str | None = None) -> list[Team]:
    """Teams (of one person), by name."""
    query = select(Team).where(Team.organization_id == organization_id).order_by(Team.name)
    if user_id is not None:
        query = query.join(TeamMember, TeamMember.team_id == Team.id).where(TeamMember.user_id == user_id)
    return list(await session.scalars(query))


async def get(session: AsyncSession, organization_id: str, team_id: str) -> Team | None:
    """One team."""
    query = select(Team).where(Team.organization_id == organization_id, Team.id == team_id)
    return (await session.scalars(query)).one_or_none()


async def add(
    session: AsyncSession, organization_id: str, team_id: str, name: str, external_id: str | None = None
) -> Team:
    """Make a team.

    Raises:
        Conflict: the name is taken.
    """
    team = Team(id=team_id, organization_id=organization_id, name=name, external_id=external_id)
    session.add(team)
    await _flushed(session)
    await session.refresh(team)
    return team


async def rename(session: AsyncSession, organization_id: str, team_id: str, name: str) -> bool:
    """Another name; False when there is no such team. Errors as `add`."""
    mine = (Team.organization_id == organization_id, Team.id == team_id)
    query = update(Team).where(*mine).values(name=name, updated_at=func.now()).returning(Team.id)
    try:
        return (await session.scalars(query)).one_or_none() is not None
    except IntegrityError as error:
        raise Conflict(TAKEN, param="name") from error


async def remove(session: AsyncSession, organization_id: str, team_id: str) -> bool:
    """Remove a team, and with it its data key; False when there is none.

    Raises:
        StillShared: people share conversations with it.
    """
    await check_unshared(session, organization_id, team_id=team_id)
    query = delete(Team).where(Team.organization_id == organization_id, Team.id == team_id).returning(Team.id)
    return (await session.scalars(query)).one_or_none() is not None


async def members(session: AsyncSession, team_id: str) -> list[str]:
    """The ids of a team's people."""
    query = select(TeamMember.user_id).where(TeamMember.team_id == team_id).order_by(TeamMember.user_id)
    return list(await session.scalars(query))


async def is_member(session: AsyncSession, team_id: str, user_id: str) -> bool:
    """Whether somebody is in a team; if so they stay in it until the unit ends."""
    query = select(TeamMember.user_id).where(TeamMember.team_id == team_id, TeamMember.user_id == user_id)
    return await session.scalar(query.with_for_update(read=True, key_share=True)) is not None


async def join(session: AsyncSession, organization_id: str, team_id: str, user_id: str) -> bool:
    """Put a member of the organization into a team; False when the person is no member.

    Somebody who is in it already stays.
    """
    row = insert(TeamMember).values(organization_id=organization_id, team_id=team_id, user_id=user_id)
    try:
        async with session.begin_nested():
            await session.execute(row.on_conflict_do_nothing())
    except IntegrityError:
        return False
    return True


async def leave(session: AsyncSession, organization_id: str, team_id: str, user_id: str) -> bool:
    """Take somebody out of a team; False when they are not in it.

    Raises:
        StillShared: they share conversations with it.
    """
    await check_unshared(session, organization_id, team_id=team_id, people=[user_id])
    query = delete(TeamMember).where(TeamMember.team_id == team_id, TeamMember.user_id == user_id)
    return (await session.scalars(query.returning(TeamMember.user_id))).one_or_none() is not None


def as_json(team: Team) -> dict[str, Any]:
    """What is told of a team."""
    return {"id": team.id, "object": "team", "name": team.name, "created_at": team.created_at.isoformat()}


async def all_projects(session: AsyncSession, organization_id: str) -> list[Project]:
    """Projects, by name."""
    query = select(Project).where(Project.organization_id == organization_id).order_by(Project.name)
    return list(await session.scalars(query))


async def add_project(
    session: AsyncSession, organization_id: str, project_id: str, name: str, team_id: str | None
) -> Project:
    """Make a project. Errors as `add`."""
    project = Project(id=project_id, organization_id=organization_id, name=name, team_id=team_id)
    session.add(project)
    await _flushed(session)
    await session.refresh(project)
    return project


async def rename_project(session: AsyncSession, organization_id: str, project_id: str, name: str) -> bool:
    """Another name; False when there is no such project. Errors as `add`."""
    mine = (Project.organization_id == organization_id, Project.id == project_id)
    try:
        found = await session.scalars(update(Project).where(*mine).values(name=name).returning(Project.id))
    except IntegrityError as error:
        raise Conflict(TAKEN, param="name") from error
    return found.one_or_none() is not None


async def remove_project(session: AsyncSession, organization_id: str, project_id: str) -> bool:
    """Remove a project; what was sorted by it stays. False when there is none."""
    mine = (Project.organization_id == organization_id, Project.id == project_id)
    return (await session.scalars(delete(Project).where(*mine).returning(Project.id))).one_or_none() is not None


def project_as_json(project: Project) -> dict[str, Any]:
    """What is told of a project."""
    return {
        "id": project.id,
        "object": "project",
        "name": project.name,
        "team_id": project.team_id,
        "created_at": project.created_at.isoformat(),
    }


async def _flushed(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(TAKEN, param="name") from error
