"""Queries on what a POST with an `Idempotency-Key` did."""

from typing import Any

from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import IdempotencyKey
from configs.errors import Conflict

LOCK_NOT_AVAILABLE = "55P03"
RUNNING = "The first request with this Idempotency-Key is still running: try again when it has ended."
CLAIM = text(
    """
    INSERT INTO idempotency_keys AS k (organization_id, digest, request_digest, created_at)
    VALUES (:organization_id, :digest, :request_digest, now())
    ON CONFLICT (organization_id, digest) DO UPDATE SET
        request_digest = excluded.request_digest, created_at = now(), status = NULL, headers = NULL,
        data_key_id = NULL, response = NULL
        WHERE k.created_at < now() - interval '24 hours'
            OR (k.status IS NULL AND k.created_at < now() - make_interval(secs => :abandoned))
    RETURNING digest
    """
)


async def claim(
    session: AsyncSession, organization_id: str, digest: bytes, request_digest: bytes, *, abandoned_s: float
) -> bool:
    """Be the first with this key; False when somebody was. Whoever comes while the first one's unit is open waits 1 s.

    Raises:
        Conflict: the first one still runs.
    """
    values: dict[str, Any] = {"organization_id": organization_id, "digest": digest, "request_digest": request_digest}
    await session.execute(text("SET LOCAL lock_timeout = '1s'"))
    try:
        found = await session.scalar(CLAIM, {**values, "abandoned": abandoned_s})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            raise Conflict(RUNNING, retry_after_s=1.0) from error
        raise
    await session.execute(text("SET LOCAL lock_timeout = 0"))
    return found is not None


async def get(session: AsyncSession, organization_id: str, digest: bytes) -> IdempotencyKey | None:
    """What the first one left."""
    return await session.get(IdempotencyKey, (organization_id, digest))


async def finish(
    session: AsyncSession,
    organization_id: str,
    digest: bytes,
    *,
    status: int,
    headers: dict[str, Any],
    data_key_id: str,
    response: bytes,
) -> None:
    """Keep the answer."""
    mine = (IdempotencyKey.organization_id == organization_id, IdempotencyKey.digest == digest)
    values = {"status": status, "headers": headers, "data_key_id": data_key_id, "response": response}
    await session.execute(update(IdempotencyKey).where(*mine).values(values))


async def release(session: AsyncSession, organization_id: str, digest: bytes) -> None:
    """Nothing came of it: the key is free again."""
    mine = (IdempotencyKey.organization_id == organization_id, IdempotencyKey.digest == digest)
    await session.execute(delete(IdempotencyKey).where(*mine, IdempotencyKey.status.is_(None)))
