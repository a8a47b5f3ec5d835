"""Vector stores whose time is over, and changes that every follower has heard of: removed in `control`, as jobs."""

from datetime import UTC, datetime, timedelta

from api.db import knowledge
from api.db import vector_stores as queries
from api.db.privacy import BATCH
from api.db.session import Database
from api.knowledge.stores import remove

KEPT = timedelta(days=7)
"""Who has not followed a store for so long begins anew."""


async def tidy(database: Database) -> tuple[int, int]:
    """How many stores and how many changes were forgotten. The files that were in the stores stay.

    Raises:
        Unavailable: the database is away.
    """
    stores = 0
    while True:
        async with database.unit() as unit:
            over = await queries.expired(unit, BATCH)
        for store_id in over:
            await remove(database, None, store_id)
        stores += len(over)
        if len(over) < BATCH:
            break
    async with database.unit() as unit:
        return stores, await knowledge.forget_changes(unit, datetime.now(UTC) - KEPT)
