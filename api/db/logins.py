"""The second door through the wall: a login that is found before anybody is known (`find_login` in migration 0002)."""

from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

CHANNEL = "manta_identity"
"""Somebody's session, role or state changed."""

Kind = Literal["email", "user", "identity", "passkey", "refresh", "session", "token", "invitation"]


async def find(session: AsyncSession, kind: Kind, value: str) -> dict[str, Any] | None:
    """What is known of a login; None when there is none.

    `value` is an address in lower case, a user's or session's id, `issuer + newline + subject`, or bytes in hexadecimal
    (a passkey's credential id, the SHA-256 of a token, for `refresh` of its session's family). A session's id may be
    followed by a newline and an organization: the person's role there is told, else in the session's own.
    """
    found: dict[str, Any] | None = await session.scalar(
        text("select find_login(:kind, :value)"), {"kind": kind, "value": value}
    )
    return found
