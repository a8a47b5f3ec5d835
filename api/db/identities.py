"""Queries on people's identities at providers. Issuer and subject name somebody; an e-mail address never does."""

from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import Identity, User
from configs.errors import Conflict

TAKEN = "This account at the provider belongs to another account here."


async def add(session: AsyncSession, row: Identity) -> Identity:
    """Keep an identity; the unit's scope must name its person.

    Raises:
        Conflict: it belongs to somebody already.
    """
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(TAKEN) from error
    await session.refresh(row)
    return row


async def of_user(session: AsyncSession, user_id: str) -> list[Identity]:
    """A person's identities, oldest first."""
    query = select(Identity).where(Identity.user_id == user_id).order_by(Identity.created_at, Identity.id)
    return list(await session.scalars(query))


async def used(session: AsyncSession, identity_id: str, email: str | None) -> None:
    """Somebody signed in with it; the provider calls them `email` now."""
    query = update(Identity).where(Identity.id == identity_id)
    await session.execute(query.values(last_used_at=func.now(), email=email))


async def remove(session: AsyncSession, identity_id: str) -> bool:
    """Remove one; False when the scope sees none of that id."""
    gone = await session.scalars(delete(Identity).where(Identity.id == identity_id).returning(Identity.id))
    return gone.one_or_none() is not None


async def lock_person(session: AsyncSession, user_id: str) -> None:
    """Whoever else would change the person's ways to sign in waits for this unit of work."""
    await session.execute(select(User.id).where(User.id == user_id).with_for_update())


def as_json(row: Identity) -> dict[str, Any]:
    """What a person is told of an identity."""
    return {
        "id": row.id,
        "object": "identity",
        "provider": row.provider,
        "issuer": row.issuer,
        "subject": row.subject,
        "email": row.email,
        "created_at": row.created_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
    }
