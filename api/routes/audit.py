"""The audit log of the caller's organization."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import orjson
from fastapi import Depends, Query, Request, Response
from starlette.responses import StreamingResponse

from api.audit.chain import Entry
from api.audit.record import record
from api.context import context_of
from api.db import audit as audit_queries
from api.db.audit import Filter
from api.db.session import Database
from api.pages import Limit, page
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.scope import Scope
from api.services import services_of

router = guarded_router()

Text = Annotated[str | None, Query(min_length=1, max_length=200)]
Moment = Annotated[datetime | None, Query()]
Number = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
EXPORT_PAGE = 1000


def wanted(
    actor: Text = None,
    action: Text = None,
    target: Text = None,
    outcome: Text = None,
    since: Moment = None,
    until: Moment = None,
) -> Filter:
    """The filter that a query names; `action` is a whole one or its beginning: `session` means every `session.…`."""
    return Filter(actor, action, target, outcome, utc(since), utc(until))


Wanted = Annotated[Filter, Depends(wanted)]


@router.get("/api/admin/audit", tags=["Audit"])
@requires(Permission.AUDIT_READ)
async def list_entries(request: Request, wanted: Wanted, limit: Limit = 20, after: Number = None) -> Response:
    """Entries, newest first; `after` is the `seq` of the last one of the page before."""
    principal = caller(request)
    async with services_of(request).database.reading(principal.scope) as unit:
        rows = await audit_queries.newest(unit, principal.organization_id, wanted, before=after, limit=limit + 1)
    return page([audit_queries.as_json(row) for row in rows], limit)


@router.get("/api/admin/audit/export", tags=["Audit"], response_class=StreamingResponse)
@requires(Permission.AUDIT_READ)
async def export_entries(request: Request, wanted: Wanted) -> Response:
    """Entries as JSON lines, oldest first, with all that their hashes cover."""
    database, principal = services_of(request).database, caller(request)
    asked = {name: str(value) for name, value in asdict(wanted).items() if value is not None}
    async with database.unit(principal.scope) as unit:
        await record(unit, context_of(request.scope), "audit.export", filter=asked)
    first = await _page(database, principal.scope, wanted, None)
    return StreamingResponse(_lines(database, principal.scope, wanted, first), media_type="application/x-ndjson")


def utc(moment: datetime | None) -> datetime | None:
    """A moment that names no zone is meant as UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


async def _page(database: Database, scope: Scope, wanted: Filter, after: int | None) -> list[Entry]:
    async with database.reading(scope) as unit:
        return await audit_queries.entries(unit, scope.organization_id, wanted, after=after, limit=EXPORT_PAGE)


async def _lines(database: Database, scope: Scope, wanted: Filter, rows: list[Entry]) -> AsyncIterator[bytes]:
    """No unit of work is open while a page is on its way."""
    while rows:
        yield b"".join(orjson.dumps(audit_queries.as_line(row), option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        rows = await _page(database, scope, wanted, rows[-1].seq) if len(rows) == EXPORT_PAGE else []
