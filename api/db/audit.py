"""Queries on the audit log. It is added to by a function of the database, never by INSERT."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

APPEND = text(
    "SELECT append_audit(:organization_id, :at, :actor, :action, :target, :outcome, :address, :request_id, :details)"
)


async def append(
    session: AsyncSession,
    *,
    organization_id: str,
    at: datetime,
    actor: str,
    action: str,
    target: str,
    outcome: str,
    address: str,
    request_id: str,
    details: str,
) -> int:
    """Add an entry to an organization's chain; its number."""
    number: int = await session.scalar(
        APPEND,
        {
            "organization_id": organization_id,
            "at": at,
            "actor": actor,
            "action": action,
            "target": target,
            "outcome": outcome,
            "address": address,
            "request_id": request_id,
            "details": details,
        },
    )
    return number
