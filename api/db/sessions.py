"""Queries on sessions and their refresh tokens."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import RefreshToken, Session


async def add(
    session: AsyncSession,
    *,
    session_id: str,
    user_id: str,
    organization_id: str,
    family: bytes,
    methods: list[str],
    user_agent: str,
    address: str,
    lifetime: timedelta,
) -> None:
    """Begin a session."""
    now = datetime.now(UTC)
    session.add(
        Session(
            id=session_id,
            user_id=user_id,
            organization_id=organization_id,
            family=family,
            methods=methods,
            user_agent=user_agent,
            address=address,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    await session.flush()


async def add_refresh(session: AsyncSession, digest: bytes, session_id: str, user_id: str, number: int) -> None:
    """The session's next refresh token."""
    session.add(RefreshToken(digest=digest, session_id=session_id, user_id=user_id, number=number))
    await session.flush()


async def use_refresh(session: AsyncSession, session_id: str, digest: bytes, grace: timedelta) -> int | None:
    """Use a refresh token up: the number of the one that follows. None says that somebody else holds a copy.

    One that was used in the last `grace` counts again until a follower is used: its answer may not have arrived. The
    session's row is locked until the unit ends, so of two at once the second sees what the first did.
    """
    living = select(Session.renewals).where(Session.id == session_id, Session.ended_at.is_(None))
    renewals = await session.scalar(living.with_for_update())
    token = RefreshToken.digest == digest, RefreshToken.session_id == session_id
    recent = RefreshToken.used_at > func.now() - grace
    found = (
        await session.execute(select(RefreshToken.number, RefreshToken.used_at, recent).where(*token))
    ).one_or_none()
    if renewals is None or found is None:
        return None
    number, used_at, again = found
    if used_at is None and number == renewals:
        await session.execute(update(RefreshToken).where(*token).values(used_at=func.now()))
        return renewals + 1
    return renewals if again and number == renewals - 1 else None


async def touch(
    session: AsyncSession,
    session_id: str,
    lifetime: timedelta,
    longest: timedelta,
    *,
    organization_id: str,
    renewals: int,
) -> None:
    """It is in use, perhaps in another organization: it lives on from now, but not beyond `longest` from its start."""
    ends_at = func.least(func.now() + lifetime, Session.created_at + longest)
    values = {
        "last_used_at": func.now(),
        "expires_at": ends_at,
        "organization_id": organization_id,
        "renewals": renewals,
    }
    await session.execute(update(Session).where(Session.id == session_id).values(values))


async def add_method(session: AsyncSession, session_id: str, method: str) -> None:
    """The person proved themselves once more, in a session that goes on."""
    methods = func.array_append(func.array_remove(Session.methods, method), method)
    query = update(Session).where(Session.id == session_id, Session.ended_at.is_(None))
    await session.execute(query.values(methods=methods, authenticated_at=func.now()))


async def living(session: AsyncSession, user_id: str) -> list[Session]:
    """A person's sessions, the one used last first."""
    query = (
        select(Session)
        .where(Session.user_id == user_id, Session.ended_at.is_(None), Session.expires_at > func.now())
        .order_by(Session.last_used_at.desc(), Session.id)
    )
    return list(await session.scalars(query))


async def end(session: AsyncSession, user_id: str, session_id: str | None = None, but: str | None = None) -> list[str]:
    """End a person's sessions: one, all, or all `but` one. The ids of those that lived."""
    query = update(Session).where(Session.user_id == user_id, Session.ended_at.is_(None))
    if session_id is not None:
        query = query.where(Session.id == session_id)
    if but is not None:
        query = query.where(Session.id != but)
    return list(await session.scalars(query.values(ended_at=func.now()).returning(Session.id)))


def as_json(row: Session, current: str | None) -> dict[str, Any]:
    """What a person is told of a sign-in."""
    return {
        "id": row.id,
        "object": "session",
        "current": row.id == current,
        "organization_id": row.organization_id,
        "methods": row.methods,
        "user_agent": row.user_agent,
        "address": row.address,
        "created_at": row.created_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
    }


async def end_in(session: AsyncSession, organization_id: str, user_id: str) -> None:
    """End a person's sessions in one organization."""
    mine = (Session.organization_id == organization_id, Session.user_id == user_id, Session.ended_at.is_(None))
    await session.execute(update(Session).where(*mine).values(ended_at=func.now()))
