"""Write an entry in the same transaction as the act it tells of: either both are there, or neither."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from api.context import Context
from api.db import audit as audit_queries
from api.db.session import Unit

IPV4_PREFIX, IPV6_PREFIX = 24, 48


async def record(
    session: Unit,
    context: Context | None,
    action: str,
    *,
    organization_id: str | None = None,
    actor: str | None = None,
    target: str = "",
    outcome: str = "ok",
    **details: Any,  # noqa: ANN401  any JSON
) -> None:
    """Add an entry.

    Args:
        session: the unit of work of the act.
        context: the request; None for a command or a job, which then names `organization_id`.
        action: what was done, as `thing.verb`: `session.begin`, `key.create`.
        organization_id: whose chain; the caller's when not given.
        actor: who, by id; the caller when not given, `system` when there is none.
        target: to what, by id.
        outcome: `ok`, `refused` or `failed`.
        details: what else an auditor wants to know. Never content, names, addresses or secrets.
    """
    await record_each(
        session,
        context,
        action,
        [target],
        organization_id=organization_id,
        actor=actor,
        outcome=outcome,
        **details,
    )


async def record_each(
    session: Unit,
    context: Context | None,
    action: str,
    targets: Sequence[str],
    *,
    organization_id: str | None = None,
    actor: str | None = None,
    outcome: str = "ok",
    **details: Any,  # noqa: ANN401  any JSON
) -> None:
    """Add an entry for each target of one act; the rest as `record`."""
    principal = context.principal if context is not None else None
    chain = organization_id or (principal.organization_id if principal is not None else None)
    assert chain is not None
    await audit_queries.append(
        session,
        organization_id=chain,
        at=datetime.now(UTC),
        actor=actor or (principal.actor if principal is not None else "system"),
        action=action,
        targets=targets,
        outcome=outcome,
        address=network_of(context.address) if context is not None else "",
        request_id=context.answer_id if context is not None else "",
        details=orjson.dumps(details, option=orjson.OPT_SORT_KEYS).decode(),
    )


def network_of(address: str) -> str:
    """The network of an address: enough to see where something came from, not who."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    prefix = IPV4_PREFIX if parsed.version == 4 else IPV6_PREFIX  # noqa: PLR2004
    return str(ipaddress.ip_network((parsed, prefix), strict=False))
