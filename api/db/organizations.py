"""Queries on organizations: members, custom roles, invitations. The unit's scope is the organization."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.sharing import check_unshared
from api.db.tables import ApiKey, FormerMember, Invitation, Membership, Organization, Role, User


async def add(session: AsyncSession, organization_id: str, name: str) -> dict[str, Any]:
    """Make an organization; the unit's scope is already it."""
    row = Organization(id=organization_id, name=name, settings={})
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return as_json(row)


async def get(session: AsyncSession, organization_id: str) -> Organization | None:
    """The organization."""
    return await session.get(Organization, organization_id)


async def change(session: AsyncSession, organization_id: str, *, name: str) -> None:
    """Another name."""
    await session.execute(update(Organization).where(Organization.id == organization_id).values(name=name))


def as_json(row: Organization) -> dict[str, Any]:
    """What is told of an organization."""
    return {"id": row.id, "object": "organization", "name": row.name, "created_at": row.created_at.isoformat()}


async def members(
    session: AsyncSession, organization_id: str, *, limit: int, after: str | None = None
) -> list[tuple[User, str]]:
    """Members with their roles, by id."""
    query = (
        select(User, Membership.role)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.organization_id == organization_id)
        .order_by(Membership.user_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Membership.user_id > after)
    return [(user, role) for user, role in await session.execute(query)]


async def member(session: AsyncSession, organization_id: str, user_id: str) -> tuple[User, str] | None:
    """One member with their role, locked until the unit ends: whoever changes it decides on what counts."""
    query = (
        select(User, Membership.role)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.organization_id == organization_id, Membership.user_id == user_id)
        .with_for_update(of=Membership)
    )
    row = (await session.execute(query)).one_or_none()
    return (row[0], row[1]) if row is not None else None


async def set_role(session: AsyncSession, organization_id: str, user_id: str, role: str) -> None:
    """Another role."""
    mine = (Membership.organization_id == organization_id, Membership.user_id == user_id)
    await session.execute(update(Membership).where(*mine).values(role=role))


async def leave(session: AsyncSession, organization_id: str, user_id: str) -> bool:
    """End a membership, and with it the places in teams and the person's keys; False when there is none.

    That there was one is kept: who left may want their data, and the organization may erase them.

    Raises:
        StillShared: the person shares conversations with a team.
    """
    await check_unshared(session, organization_id, people=[user_id])
    keys = (ApiKey.organization_id == organization_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    await session.execute(update(ApiKey).where(*keys).values(revoked_at=func.now()))
    mine = (Membership.organization_id == organization_id, Membership.user_id == user_id)
    role = (await session.scalars(delete(Membership).where(*mine).returning(Membership.role))).one_or_none()
    if role is None:
        return False
    row = insert(FormerMember).values(organization_id=organization_id, user_id=user_id, role=role)
    again = {"role": row.excluded.role, "left_at": func.now()}
    await session.execute(row.on_conflict_do_update(index_elements=["organization_id", "user_id"], set_=again))
    return True


async def former_role(session: AsyncSession, organization_id: str, user_id: str) -> str | None:
    """The role that somebody had who left; None when they did not."""
    mine = (FormerMember.organization_id == organization_id, FormerMember.user_id == user_id)
    return (await session.scalars(select(FormerMember.role).where(*mine))).one_or_none()


async def other_owners(session: AsyncSession, organization_id: str, user_id: str, owner: str) -> int:
    """How many owners there are besides this person who can act as one: the disabled and the erased cannot.

    The organization's row is locked: two owners cannot both go.
    """
    await session.execute(select(Organization.id).where(Organization.id == organization_id).with_for_update())
    others = (Membership.organization_id == organization_id, Membership.role == owner, Membership.user_id != user_id)
    query = select(func.count()).select_from(Membership).join(User, User.id == Membership.user_id)
    return int(await session.scalar(query.where(*others, User.status == "active")) or 0)


async def roles(session: AsyncSession, organization_id: str) -> dict[str, list[str]]:
    """The custom roles: name to permissions."""
    rows = await session.scalars(select(Role).where(Role.organization_id == organization_id).order_by(Role.name))
    return {row.name: row.permissions for row in rows}


async def put_role(session: AsyncSession, organization_id: str, name: str, permissions: list[str]) -> None:
    """Make or change a custom role."""
    row = insert(Role).values(organization_id=organization_id, name=name, permissions=permissions)
    await session.execute(
        row.on_conflict_do_update(
            index_elements=["organization_id", "name"], set_={"permissions": row.excluded.permissions}
        )
    )


async def remove_role(session: AsyncSession, organization_id: str, name: str) -> bool:
    """Remove a custom role; False when there is none of that name."""
    query = delete(Role).where(Role.organization_id == organization_id, Role.name == name).returning(Role.name)
    return (await session.scalars(query)).one_or_none() is not None


async def keeps_role(session: AsyncSession, organization_id: str, name: str) -> bool:
    """Whether there is a custom role of that name; it cannot be removed until the unit ends."""
    query = select(Role.name).where(Role.organization_id == organization_id, Role.name == name)
    return await session.scalar(query.with_for_update(read=True)) is not None


async def holders(session: AsyncSession, organization_id: str, role: str) -> int:
    """How many members have a role, or will by an invitation that can still be used."""
    members = select(func.count()).where(Membership.organization_id == organization_id, Membership.role == role)
    coming = select(func.count()).where(Invitation.role == role, *_usable(organization_id))
    return int(await session.scalar(members) or 0) + int(await session.scalar(coming) or 0)


async def add_invitation(
    session: AsyncSession,
    *,
    invitation_id: str,
    digest: bytes,
    organization_id: str,
    email: str | None,
    role: str,
    invited_by: str | None,
    lifetime: timedelta,
) -> Invitation:
    """Keep an invitation's digest."""
    now = datetime.now(UTC)
    row = Invitation(
        id=invitation_id,
        digest=digest,
        organization_id=organization_id,
        email=email,
        role=role,
        invited_by=invited_by,
        created_at=now,
        expires_at=now + lifetime,
    )
    session.add(row)
    await session.flush()
    return row


async def invitations(session: AsyncSession, organization_id: str) -> list[Invitation]:
    """Those that can still be used, oldest first."""
    query = (
        select(Invitation).where(*_usable(organization_id)).order_by(Invitation.created_at, Invitation.id).limit(1000)
    )
    return list(await session.scalars(query))


async def remove_invitation(session: AsyncSession, organization_id: str, invitation_id: str) -> bool:
    """Take an invitation back; False when there is none."""
    query = delete(Invitation).where(Invitation.organization_id == organization_id, Invitation.id == invitation_id)
    return (await session.scalars(query.returning(Invitation.id))).one_or_none() is not None


def _usable(organization_id: str) -> tuple[ColumnElement[bool], ...]:
    mine = Invitation.organization_id == organization_id
    return mine, Invitation.used_at.is_(None), Invitation.expires_at > func.now()


def invitation_as_json(row: Invitation) -> dict[str, Any]:
    """What a list tells of an invitation."""
    return {
        "id": row.id,
        "object": "invitation",
        "email": row.email,
        "role": row.role,
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
    }
