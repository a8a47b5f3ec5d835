"""Queries on API keys. It never sees a key itself, only digests."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import ApiKey
from api.keys import NewKey

CHANNEL = "manta_keys"
_TOUCH = text("""
    with used as (select * from unnest(cast(:ids as text[]), cast(:times as timestamptz[])) as used (id, at)),
        locked as (select id from api_keys where id in (select id from used) order by id for no key update)
    update api_keys set last_used_at = greatest(coalesce(last_used_at, at), at)
    from used join locked using (id) where api_keys.id = used.id
""")


async def find(session: AsyncSession, digest: bytes) -> dict[str, Any] | None:
    """The living key with this SHA-256, its owner's state and role; through the wall, for nobody is known yet."""
    found: dict[str, Any] | None = await session.scalar(text("select find_key(:digest)"), {"digest": digest})
    return found


async def find_many(session: AsyncSession, digests: Sequence[bytes]) -> dict[bytes, dict[str, Any]]:
    """What `find` tells of each, by digest; those that it does not find are left out."""
    rows = await session.execute(
        text("select digest, find_key(digest) from unnest(cast(:digests as bytea[])) digest"),
        {"digests": list(digests)},
    )
    return {bytes(digest): found for digest, found in rows if found is not None}


async def known(session: AsyncSession, digest: bytes) -> bool:
    """Whether there is or was a key of this organization with this SHA-256."""
    return (await session.scalars(select(ApiKey.id).where(ApiKey.digest == digest))).one_or_none() is not None


async def add(
    session: AsyncSession,
    made: NewKey,
    *,
    organization_id: str,
    name: str,
    permissions: Sequence[str],
    user_id: str | None = None,
    models: Sequence[str] | None = None,
    expires_in_s: int | None = None,
    made_by: str | None = None,
) -> dict[str, Any]:
    """Keep a new key's digest; its row as `as_json` tells it. A key that was `made_by` another lives no longer."""
    now = datetime.now(UTC)
    ends = [now + timedelta(seconds=expires_in_s) if expires_in_s is not None else None]
    if made_by is not None:
        ends.append(await session.scalar(select(ApiKey.expires_at).where(ApiKey.id == made_by)))
    row = ApiKey(
        id=made.id,
        organization_id=organization_id,
        user_id=user_id,
        name=name,
        digest=made.digest,
        prefix=made.prefix,
        permissions=list(permissions),
        models=list(models) if models is not None else None,
        created_at=now,
        expires_at=min((end for end in ends if end is not None), default=None),
    )
    session.add(row)
    await session.flush()
    return as_json(row)


def as_json(key: ApiKey) -> dict[str, Any]:
    """What a listing tells of a key."""
    return {
        "id": key.id,
        "object": "api_key",
        "name": key.name,
        "prefix": key.prefix,
        "user_id": key.user_id,
        "permissions": key.permissions,
        "models": key.models,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
    }


async def all_living(session: AsyncSession, organization_id: str, user_id: str | None = None) -> list[ApiKey]:
    """Keys of an organization (of one person in it) that were not revoked, oldest first."""
    query = select(ApiKey).where(ApiKey.organization_id == organization_id, ApiKey.revoked_at.is_(None))
    if user_id is not None:
        query = query.where(ApiKey.user_id == user_id)
    return list(await session.scalars(query.order_by(ApiKey.created_at, ApiKey.id)))


async def revoke(session: AsyncSession, organization_id: str, key_id: str, user_id: str | None = None) -> bool:
    """Revoke; False when there is no such living key (of that person)."""
    query = update(ApiKey).where(
        ApiKey.id == key_id, ApiKey.organization_id == organization_id, ApiKey.revoked_at.is_(None)
    )
    if user_id is not None:
        query = query.where(ApiKey.user_id == user_id)
    changed = await session.scalars(query.values(revoked_at=datetime.now(UTC)).returning(ApiKey.id))
    return changed.one_or_none() is not None


async def touch(session: AsyncSession, used: Mapping[str, datetime]) -> None:
    """Remember when keys of this unit's organization were used last; in one order, so that two of it do not block."""
    await session.execute(_TOUCH, {"ids": list(used), "times": list(used.values())})
