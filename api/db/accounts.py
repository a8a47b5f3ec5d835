"""Queries on people, their memberships and links that are used once."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import FormerMember, Invitation, Membership, OneTimeToken, Organization, User
from configs.errors import Conflict

EMAIL_TAKEN = "An account with this e-mail address exists already: sign in, or reset its password."


async def add(
    session: AsyncSession,
    *,
    user_id: str,
    email: str | None,
    name: str,
    password_hash: str | None,
    email_verified: bool = False,
) -> User:
    """Make a person; the unit's scope must name that person.

    Raises:
        Conflict: the address belongs to somebody.
    """
    user = User(
        id=user_id,
        email=email,
        name=name,
        password_hash=password_hash,
        email_verified_at=datetime.now(UTC) if email_verified else None,
    )
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(EMAIL_TAKEN, param="email") from error
    return user


async def get(session: AsyncSession, user_id: str) -> User | None:
    """A person whom the unit's scope may see."""
    return await session.get(User, user_id)


async def change(session: AsyncSession, user_id: str, **values: object) -> bool:
    """Set columns of a person; False when the scope sees none of that id."""
    query = update(User).where(User.id == user_id).values(updated_at=func.now(), **values).returning(User.id)
    try:
        return (await session.scalars(query)).one_or_none() is not None
    except IntegrityError as error:
        raise Conflict(EMAIL_TAKEN, param="email") from error


async def join(session: AsyncSession, organization_id: str, user_id: str, role: str) -> bool:
    """Make a person a member, be it again; False when it is one already."""
    former = (FormerMember.organization_id == organization_id, FormerMember.user_id == user_id)
    await session.execute(delete(FormerMember).where(*former))
    row = insert(Membership).values(organization_id=organization_id, user_id=user_id, role=role)
    added = await session.scalars(row.on_conflict_do_nothing().returning(Membership.user_id))
    return added.one_or_none() is not None


async def organizations_of(session: AsyncSession, user_id: str) -> list[tuple[str, str, str]]:
    """A person's organizations as (id, name, role), in the order of joining."""
    query = (
        select(Organization.id, Organization.name, Membership.role)
        .join(Membership, Membership.organization_id == Organization.id)
        .where(Membership.user_id == user_id)
        .order_by(Membership.created_at, Organization.id)
    )
    return [(row.id, row.name, row.role) for row in await session.execute(query)]


async def former_organizations(session: AsyncSession, user_id: str) -> list[str]:
    """Ids of the organizations that a person left, in that order."""
    query = select(FormerMember.organization_id).where(FormerMember.user_id == user_id)
    return list(await session.scalars(query.order_by(FormerMember.left_at, FormerMember.organization_id)))


async def has_owner(session: AsyncSession, organization_id: str, owner: str) -> bool:
    """Whether an organization has a member of that role who can sign in."""
    query = select(
        exists().where(
            Membership.organization_id == organization_id,
            Membership.role == owner,
            User.id == Membership.user_id,
            User.status == "active",
        )
    )
    return bool(await session.scalar(query))


async def add_token(
    session: AsyncSession, digest: bytes, purpose: str, *, user_id: str | None, email: str | None, lifetime_s: float
) -> None:
    """Keep a link that is used once; one with the same digest lives on from now."""
    now = datetime.now(UTC)
    row = insert(OneTimeToken).values(
        digest=digest, purpose=purpose, user_id=user_id, email=email, expires_at=now + timedelta(seconds=lifetime_s)
    )
    again = row.on_conflict_do_update(index_elements=["digest"], set_={"expires_at": row.excluded.expires_at})
    await session.execute(again)


async def use_token(session: AsyncSession, digest: bytes, purpose: str) -> bool:
    """Use a link up; False when somebody was quicker or its time is over."""
    query = (
        update(OneTimeToken)
        .where(
            OneTimeToken.digest == digest,
            OneTimeToken.purpose == purpose,
            OneTimeToken.used_at.is_(None),
            OneTimeToken.expires_at > func.now(),
        )
        .values(used_at=func.now())
        .returning(OneTimeToken.digest)
    )
    return (await session.scalars(query)).one_or_none() is not None


async def void_tokens(session: AsyncSession, user_id: str, purpose: str) -> None:
    """Use up every link that a person has for `purpose`."""
    mine = (OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose, OneTimeToken.used_at.is_(None))
    await session.execute(update(OneTimeToken).where(*mine).values(used_at=func.now()))


async def use_invitation(session: AsyncSession, invitation_id: str) -> bool:
    """Use an invitation up; False when somebody was quicker or its time is over."""
    query = (
        update(Invitation)
        .where(Invitation.id == invitation_id, Invitation.used_at.is_(None), Invitation.expires_at > func.now())
        .values(used_at=func.now())
        .returning(Invitation.id)
    )
    return (await session.scalars(query)).one_or_none() is not None


def as_json(user: User) -> dict[str, Any]:
    """What is told of a person."""
    return {
        "id": user.id,
        "object": "user",
        "email": user.email,
        "name": user.name,
        "status": user.status,
        "email_verified": user.email_verified_at is not None,
        "created_at": user.created_at.isoformat(),
        "last_login_at": user.last_login_at.isoformat() if user.last_login_at else None,
    }
