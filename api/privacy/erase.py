"""Erase a person: their key first, which makes every copy of what they wrote noise, then the rows.

It runs in `control`, as the role of jobs, and may begin again at any point. Parts that keep data of people elsewhere
(files, vectors, training sets) add themselves to `ERASERS`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from api.audit.record import record
from api.db import data_keys
from api.db import privacy as queries
from api.db.notifications import notify
from api.db.session import JOBS_ROLE, Database
from api.privacy import ledger

log = logging.getLogger(__name__)

ERASERS: list[Callable[[str, list[str]], Awaitable[dict[str, Any]]]] = []
"""Each is told a person's id and the ids of their data keys, and tells what it removed."""


async def erase_all(database: Database, data_dir: Path) -> int:
    """Carry out every open order; how many there were."""
    async with database.unit() as unit:
        orders = await queries.open_erasures(unit)
    for order in orders:
        entry = {
            "id": order.id,
            "organization_id": order.organization_id,
            "subject_kind": order.subject_kind,
            "subject_id": order.subject_id,
            "data_key_ids": order.data_key_ids,
            "requested_at": order.requested_at.isoformat(),
        }
        ledger.append(data_dir, entry)
        await erase(database, order.id, order.organization_id, order.subject_id, order.data_key_ids)
    return len(orders)


async def erase(
    database: Database, order_id: str, organization_id: str, user_id: str, data_key_ids: list[str]
) -> dict[str, Any]:
    """Carry out one order; what was removed."""
    report: dict[str, Any] = {"data_keys": 0, "conversations": 0}
    async with database.unit() as unit:
        report["data_keys"] = await queries.destroy_keys(unit, user_id)
        await notify(unit, data_keys.CHANNEL)
    while True:
        async with database.unit() as unit:
            removed = await queries.remove_conversations(unit, user_id)
        report["conversations"] += removed
        if removed < queries.BATCH:
            break
    for eraser in ERASERS:
        report |= await eraser(user_id, data_key_ids)
    async with database.unit() as unit:
        report |= await queries.remove_person(unit, user_id, data_key_ids)
        await queries.finish_erasure(unit, order_id, report)
        await record(unit, None, "user.erased", organization_id=organization_id, target=user_id, **report)
    log.info("the erasure %s is done", order_id)
    return report


def replay_into(url: str, wanted: Sequence[ledger.Entry]) -> int:
    """`replay` in a database that was just restored, as a role that may do everything or become that of jobs."""

    async def all_of_it() -> int:
        database = Database(url, pool_size=1, application="manta restore", role=JOBS_ROLE, deadline_s=None)
        try:
            return await replay(database, wanted)
        finally:
            await database.close()

    return asyncio.run(all_of_it())


async def replay(database: Database, wanted: Iterable[ledger.Entry]) -> int:
    """After a restore: erase again whoever was erased since the backup; how many they were.

    Whoever the database knows to be erased is left alone, except that other parts may hold files which came back.
    """
    count = 0
    for entry in wanted:
        async with database.unit() as unit:
            await queries.note_erasure(unit, {name: entry[name] for name in ledger.KEPT})
            done = await queries.is_erased(unit, entry["id"])
        if done:
            for eraser in ERASERS:
                await eraser(entry["subject_id"], entry["data_key_ids"])
        else:
            await erase(database, entry["id"], entry["organization_id"], entry["subject_id"], entry["data_key_ids"])
            count += 1
    return count
