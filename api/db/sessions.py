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
            methods=methods,
            user_agent=user_agent,
            address=address,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    await session.flush()


async def add_refresh(session: AsyncSession, digest: bytes, session_id: str, user_id: str) -> None:
    """The session's next refresh token."""
    session.add(RefreshToken(digest=digest, session_id=session_id, user_id=user_id))
    await session.flush()


async def use_refresh(session: AsyncSession, digest: bytes) -> bool:
    """Use a refresh token up; False when it was used before: somebody else holds a copy."""
    query = (
        update(RefreshToken)
        .where(RefreshToken.digest == digest, RefreshToken.used_at.is_(None))
        .values(used_at=func.now())
        .returning(RefreshToken.digest)
    )
    return (await session.scalars(query)).one_or_none() is not None


async def touch(
    session: AsyncSession, session_id: str, lifetime: timedelta, organization_id: str | None = None
) -> None:
    """It is in use: it lives on from now, perhaps in another organization."""
    values: dict[str, Any] = {"last_used_at": func.now(), "expires_at": datetime.now(UTC) + lifetime}
    if organization_id is not None:
        values["organization_id"] = organization_id
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
