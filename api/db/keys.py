"""Queries on API keys. It never sees a key itself, only digests."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import ApiKey
from api.keys import NewKey

CHANNEL = "manta_keys"


async def find(session: AsyncSession, digest: bytes) -> ApiKey | None:
    """The living key with this SHA-256."""
    now = datetime.now(UTC)
    query = select(ApiKey).where(ApiKey.digest == digest, ApiKey.revoked_at.is_(None))
    key = (await session.scalars(query)).one_or_none()
    return key if key is not None and (key.expires_at is None or key.expires_at > now) else None


async def known(session: AsyncSession, digest: bytes) -> bool:
    """Whether there is or was a key with this SHA-256."""
    return (await session.scalars(select(ApiKey.id).where(ApiKey.digest == digest))).one_or_none() is not None


async def add(
    session: AsyncSession,
    made: NewKey,
    *,
    organization_id: str,
    name: str,
    permissions: Sequence[str],
    expires_in_s: int | None = None,
) -> dict[str, Any]:
    """Keep a new key's digest; its row as `as_json` tells it."""
    now = datetime.now(UTC)
    row = ApiKey(
        id=made.id,
        organization_id=organization_id,
        name=name,
        digest=made.digest,
        prefix=made.prefix,
        permissions=list(permissions),
        created_at=now,
        expires_at=now + timedelta(seconds=expires_in_s) if expires_in_s is not None else None,
    )
    session.add(row)
    await session.flush()
    return as_json(row)


def as_json(key: ApiKey) -> dict[str, Any]:
    """What a listing tells of a key."""
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "permissions": key.permissions,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }


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
