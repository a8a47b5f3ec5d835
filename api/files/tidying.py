"""Files whose time is over, and bytes that no file names: removed in `control`, as the role of jobs.

Such bytes are left by a crash between the bytes and their row, or between a row's removal and its bytes'.
"""

import time
from datetime import UTC, datetime, timedelta

from api.db import files as queries
from api.db.privacy import BATCH
from api.db.session import Database
from api.files.blobs import Blobs

GRACE_S = 24 * 3600.0
"""Longer than any upload may take."""
LATE_S = 60.0
"""Longer than any unit of work, which may just be making a file of the same content as one whose time ends now."""


async def tidy(database: Database, blobs: Blobs, grace_s: float = GRACE_S) -> tuple[int, int]:
    """How many files and blobs were removed.

    Raises:
        Unavailable: the database is away, or the place of the files.
    """

    async def known(names: list[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(names), BATCH):
            async with database.unit() as unit:
                found |= await queries.known(unit, names[start : start + BATCH])
        return found

    return await _expired(database), await blobs.sweep(known, time.time() - grace_s)


async def _expired(database: Database) -> int:
    total, before = 0, datetime.now(UTC) - timedelta(seconds=LATE_S)
    while True:
        async with database.unit() as unit:
            count = await queries.remove_expired(unit, before)
        total += count
        if count < BATCH:
            return total
