"""Queries on counts of failed guesses, and of what strangers begin. A key is a digest: it names nobody."""

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import Throttle

_FAILED = """
    INSERT INTO throttles AS t (key, count, window_ends_at) VALUES (:key, 1, now() + make_interval(secs => :window))
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN t.window_ends_at < now() THEN 1 ELSE t.count + 1 END,
        window_ends_at = CASE WHEN t.window_ends_at < now()
            THEN now() + make_interval(secs => :window) ELSE t.window_ends_at END,
        blocked_until = CASE WHEN t.count + 1 >= :allowed AND t.window_ends_at >= now()
            THEN now() + make_interval(secs => least(:longest, 2 ^ least(t.count + 1 - :allowed, 20)))
            ELSE t.blocked_until END
    """
FAILED = text(_FAILED)
TAKEN = text(_FAILED + " WHERE t.blocked_until IS NULL OR t.blocked_until <= now() RETURNING t.key")
BLOCKED = text("SELECT extract(epoch FROM max(blocked_until) - now()) FROM throttles WHERE key = ANY(:keys)")


async def failed(session: AsyncSession, key: bytes, *, allowed: int, window_s: float, longest_s: float) -> None:
    """Count a failure. From the `allowed`th of a window on, each blocks for twice as long: 1 s, 2 s ... `longest_s`."""
    await session.execute(FAILED, {"key": key, "allowed": allowed, "window": window_s, "longest": longest_s})


async def take(session: AsyncSession, key: bytes, *, allowed: int, window_s: float, longest_s: float) -> bool:
    """Count a failure before it is one, unless the key is blocked: of many guesses at once, no more get through."""
    values = {"key": key, "allowed": allowed, "window": window_s, "longest": longest_s}
    return (await session.execute(TAKEN, values)).one_or_none() is not None


async def blocked_s(session: AsyncSession, keys: list[bytes]) -> float:
    """How many seconds the longest block of these lasts; 0 or less is none."""
    return float(await session.scalar(BLOCKED, {"keys": keys}) or 0.0)


async def forget(session: AsyncSession, key: bytes) -> None:
    """A guess was right."""
    await session.execute(delete(Throttle).where(Throttle.key == key))
