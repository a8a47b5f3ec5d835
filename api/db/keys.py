"""Queries on API keys. It never sees a key itself, only digests."""

from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import ApiKey

CHANNEL = "manta_keys"


async def find(session: AsyncSession, digest: bytes) -> ApiKey | None:
    """The living key with this SHA-256."""
    now = datetime.now(UTC)
    query = select(ApiKey).where(ApiKey.digest == digest, ApiKey.revoked_at.is_(None))
    key = (await session.scalars(query)).one_or_none()
    return key if key is not None and (key.expires_at is None or key.expires_at > now) else None


async def all_living(session: AsyncSession, organization_id: str) -> list[ApiKey]:
    """Keys of an organization that were not revoked, oldest first."""
    query = (
        select(ApiKey)
        .where(ApiKey.organization_id == organization_id, ApiKey.revoked_at.is_(None))
        .order_by(ApiKey.created_at, ApiKey.id)
    )
    return list(await session.scalars(query))


async def revoke(session: AsyncSession, organization_id: str, key_id: str) -> bool:
    """Revoke; False when there is no such living key."""
    query = (
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.organization_id == organization_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
        .returning(ApiKey.id)
    )
    return (await session.scalars(query)).one_or_none() is not None
