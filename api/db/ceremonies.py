"""Queries on sign-ins that are under way: what was asked of a provider or an authenticator, until it answers once."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import Ceremony

SWEPT = 100
"""Rows that one new ceremony removes at most: strangers begin them, so the table cleans itself as it fills."""


async def begin(session: AsyncSession, digest: bytes, kind: str, payload: dict[str, Any], *, lifetime_s: float) -> None:
    """Remember what was asked, under the SHA-256 of a secret that the answer must bring."""
    over = select(Ceremony.digest).where(Ceremony.expires_at <= func.now()).limit(SWEPT)
    await session.execute(delete(Ceremony).where(Ceremony.digest.in_(over.with_for_update(skip_locked=True))))
    expires_at = datetime.now(UTC) + timedelta(seconds=lifetime_s)
    session.add(Ceremony(digest=digest, kind=kind, payload=payload, expires_at=expires_at))
    await session.flush()


async def take(session: AsyncSession, digest: bytes, kind: str) -> dict[str, Any] | None:
    """What was asked; None when nothing was, when its time is over, or when somebody took it before."""
    query = delete(Ceremony).where(Ceremony.digest == digest, Ceremony.kind == kind)
    row = (await session.execute(query.returning(Ceremony.payload, Ceremony.expires_at))).one_or_none()
    return None if row is None or row.expires_at <= datetime.now(UTC) else row.payload
