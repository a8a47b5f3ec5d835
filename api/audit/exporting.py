"""Write entries of many chains as JSON lines. It does not know where they go."""

from collections.abc import Callable
from datetime import datetime

import orjson

from api.db import audit as audit_queries
from api.db.audit import Filter
from api.db.session import Database

PAGE = 2000


def between(since: datetime | None, until: datetime | None) -> Filter:
    """Entries from one moment to another."""
    return Filter(since=since, until=until)


async def export(
    database: Database, wanted: Filter, organization_id: str | None, write: Callable[[bytes], object]
) -> int:
    """Write the entries of one organization, or of all, as they are at one moment; how many.

    Raises:
        Unavailable: the database is away.
    """
    count = 0
    async with database.snapshot() as unit:
        for name in [organization_id] if organization_id else await audit_queries.organizations(unit):
            after = None
            while rows := await audit_queries.entries(unit, name, wanted, after=after, limit=PAGE):
                for row in rows:
                    write(orjson.dumps(audit_queries.as_line(row), option=orjson.OPT_APPEND_NEWLINE))
                count, after = count + len(rows), rows[-1].seq
    return count
