"""Queries on the audit log. It is added to by a function of the database, never by INSERT."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.audit.chain import Entry, Head
from api.db.tables import AuditHead, AuditRow

APPEND = text(
    "SELECT append_audit(:organization_id, :at, :actor, :action, :target, :outcome, :address, :request_id, :details)"
)
APPEND_EACH = text(
    "SELECT append_audit(:organization_id, :at, :actor, :action, target, :outcome, :address, :request_id, :details)"
    " FROM unnest(CAST(:targets AS text[])) target"
)
CHAINS = text("""
    WITH RECURSIVE chain (name) AS (
        (SELECT organization_id FROM audit_log ORDER BY organization_id LIMIT 1)
        UNION ALL
        SELECT (SELECT l.organization_id FROM audit_log l WHERE l.organization_id > chain.name
                ORDER BY l.organization_id LIMIT 1)
        FROM chain WHERE chain.name IS NOT NULL
    ) SELECT name FROM chain WHERE name IS NOT NULL
""")
"""Leaps from one organization to the next by the index; DISTINCT would read every entry."""
COLUMNS = (
    AuditRow.organization_id,
    AuditRow.seq,
    AuditRow.created_at,
    AuditRow.actor,
    AuditRow.action,
    AuditRow.target,
    AuditRow.outcome,
    AuditRow.address,
    AuditRow.request_id,
    AuditRow.details,
    AuditRow.previous_hash,
    AuditRow.hash,
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries; what is None does not matter. `action` is a whole one, or what stands before one of its dots."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def append(
    session: AsyncSession,
    *,
    organization_id: str,
    at: datetime,
    actor: str,
    action: str,
    targets: Sequence[str],
    outcome: str,
    address: str,
    request_id: str,
    details: str,
) -> None:
    """Add an entry for each target to an organization's chain, in one round trip."""
    values = {
        "organization_id": organization_id,
        "at": at,
        "actor": actor,
        "action": action,
        "outcome": outcome,
        "address": address,
        "request_id": request_id,
        "details": details,
    }
    if len(targets) == 1:
        await session.execute(APPEND, {**values, "target": targets[0]})
    else:
        await session.execute(APPEND_EACH, {**values, "targets": list(targets)})


async def heads(session: AsyncSession) -> list[Head]:
    """Where the chains stand that this unit may see."""
    query = select(AuditHead.organization_id, AuditHead.seq, AuditHead.hash).order_by(AuditHead.organization_id)
    return [Head(*row) for row in await session.execute(query)]


async def organizations(session: AsyncSession) -> list[str]:
    """Whose entries there are, as far as this unit may see them."""
    return list(await session.scalars(CHAINS))


async def entries(
    session: AsyncSession, organization_id: str, wanted: Filter | None = None, *, after: int | None, limit: int
) -> list[Entry]:
    """A page of a chain, oldest first."""
    query = matching(organization_id, wanted or Filter()).order_by(AuditRow.seq).limit(limit)
    if after is not None:
        query = query.where(AuditRow.seq > after)
    return [Entry(*row) for row in await session.execute(query)]


async def newest(
    session: AsyncSession, organization_id: str, wanted: Filter, *, before: int | None, limit: int
) -> list[Entry]:
    """A page of a chain, newest first."""
    return [Entry(*row) for row in await session.execute(newest_query(organization_id, wanted, before, limit))]


def newest_query(organization_id: str, wanted: Filter, before: int | None, limit: int) -> Select[*tuple[Any, ...]]:
    """What `newest` asks."""
    query = matching(organization_id, wanted).order_by(AuditRow.seq.desc()).limit(limit)
    return query if before is None else query.where(AuditRow.seq < before)


def matching(organization_id: str, wanted: Filter) -> Select[*tuple[Any, ...]]:
    """The entries of one organization that a filter lets through."""
    query: Select[*tuple[Any, ...]] = select(*COLUMNS).where(AuditRow.organization_id == organization_id)
    if wanted.action is not None:
        stem = wanted.action.rstrip(".")
        query = query.where(AuditRow.action >= stem, AuditRow.action < stem + "/")  # the character after the dot
    for column, value in (
        (AuditRow.actor, wanted.actor),
        (AuditRow.target, wanted.target),
        (AuditRow.outcome, wanted.outcome),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(AuditRow.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditRow.created_at < wanted.until)
    return query


def as_json(entry: Entry) -> dict[str, Any]:
    """What is told of an entry."""
    return {**as_line(entry), "id": str(entry.seq), "object": "audit_entry", "details": orjson.loads(entry.details)}


def as_line(entry: Entry) -> dict[str, Any]:
    """An entry as it is exported: all that its hash covers, `details` being the text that was hashed."""
    return {
        "organization_id": entry.organization_id,
        "seq": entry.seq,
        "created_at": entry.created_at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "outcome": entry.outcome,
        "address": entry.address,
        "request_id": entry.request_id,
        "details": entry.details,
        "previous_hash": entry.previous_hash.hex(),
        "hash": entry.hash.hex(),
    }
