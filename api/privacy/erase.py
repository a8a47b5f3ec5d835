"""Erase a person or an organization: the keys first, which makes every copy of the content noise, then the rows.

It runs in `control`, as the role of jobs, and may begin again at any point. Parts that keep data of people elsewhere
(training sets) add themselves to `ERASERS`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from api.audit.record import record
from api.db import closing, data_keys, files
from api.db import privacy as queries
from api.db.notifications import notify
from api.db.session import JOBS_ROLE, Database, Unit
from api.files.blobs import Blobs
from api.privacy import ledger
from configs.errors import Unavailable

log = logging.getLogger(__name__)

USER, ORGANIZATION = "user", "organization"
"""Whom an order is about."""

ERASERS: list[Callable[[str, list[str]], Awaitable[dict[str, Any]]]] = []
"""Each is told a person's id and the ids of their data keys, and tells what it removed."""


async def erase_all(database: Database, data_dir: Path, blobs: Blobs | None = None) -> int:
    """Carry out every open order; how many were. One that fails stays open, and the others do not wait for it.

    Raises:
        Unavailable: the database is away.
    """
    async with database.unit() as unit:
        orders = await queries.open_erasures(unit)
    done = 0
    for order in orders:
        entry = {name: getattr(order, name) for name in ledger.KEPT}
        try:
            ledger.append(data_dir, {**entry, "requested_at": order.requested_at.isoformat()})
            await erase(database, entry, blobs)
        except Unavailable as error:
            log.warning("the erasure %s has to wait: %s", order.id, error.message)
        except Exception:
            log.exception("the erasure %s is not done; the next pass goes on", order.id)
        else:
            done += 1
    return done


async def erase(database: Database, entry: ledger.Entry, blobs: Blobs | None = None) -> dict[str, Any]:
    """Carry out one order; what was removed. Without `blobs`, the bytes are left to `api.files.tidying`."""
    carry_out = _organization if entry["subject_kind"] == ORGANIZATION else _person
    report = await carry_out(database, entry, blobs)
    log.info("the erasure %s is done", entry["id"])
    return report


async def _person(database: Database, entry: ledger.Entry, blobs: Blobs | None) -> dict[str, Any]:
    user_id, report = entry["subject_id"], {}
    async with database.unit() as unit:
        report["data_keys"] = await queries.destroy_keys(unit, user_id)
        await notify(unit, data_keys.CHANNEL)
    report["conversations"] = await _all(database, queries.BATCH, queries.remove_conversations, user_id)
    report["messages"] = await _all(database, queries.LARGE_BATCH, queries.empty_messages, user_id)
    report["usage_rows"] = await _all(database, queries.LARGE_BATCH, queries.forget_usage, user_id)
    report["files"] = await _files(database, blobs, files.remove_of_user, user_id)
    for eraser in ERASERS:
        report |= await eraser(user_id, entry["data_key_ids"])
    async with database.unit() as unit:  # a request that was under way may have made a key or written since
        report["data_keys"] += await queries.destroy_keys(unit, user_id)
        report["messages"] += await queries.empty_messages(unit, user_id)
        report["files"] += len(await files.remove_of_user(unit, user_id))  # their bytes are swept
        report |= await queries.remove_person(unit, user_id, entry["data_key_ids"])
        await _finish(unit, entry, "user.erased", report)
    return report


async def _organization(database: Database, entry: ledger.Entry, blobs: Blobs | None) -> dict[str, Any]:
    organization_id, report = entry["subject_id"], {}
    async with database.unit() as unit:
        report["data_keys"] = await closing.destroy_keys(unit, organization_id)
        await notify(unit, data_keys.CHANNEL)
    report["conversations"] = await _all(database, queries.BATCH, closing.remove_conversations, organization_id)
    report["usage_rows"] = await _all(database, queries.LARGE_BATCH, closing.remove_usage, organization_id)
    report["files"] = await _files(database, blobs, files.remove_of_organization, organization_id)
    async with database.unit() as unit:
        report["organizations"] = await closing.remove_organization(unit, organization_id)
        await _finish(unit, entry, "organization.erased", report)
    return report


async def _finish(unit: Unit, entry: ledger.Entry, action: str, report: dict[str, Any]) -> None:
    await queries.finish_erasure(unit, entry["id"], report)
    await record(unit, None, action, organization_id=entry["organization_id"], target=entry["subject_id"], **report)


async def _files(
    database: Database, blobs: Blobs | None, step: Callable[[Unit, str], Awaitable[list[str]]], subject: str
) -> int:
    """Rows in batches, and what they name on the disk; how many rows there were."""
    total = 0
    while True:
        async with database.unit() as unit:
            names = await step(unit, subject)
        if blobs is not None:
            for name in names:
                await blobs.remove(name)
        total += len(names)
        if not names:
            return total


async def _all(database: Database, batch: int, step: Callable[[Unit, str], Awaitable[int]], subject: str) -> int:
    """Batch after batch, each in a unit of work of its own; how many there were."""
    total = 0
    while True:
        async with database.unit() as unit:
            count = await step(unit, subject)
        total += count
        if count < batch:
            return total


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
        if not done:
            await erase(database, entry)
            count += 1
        elif entry["subject_kind"] == USER:
            for eraser in ERASERS:
                await eraser(entry["subject_id"], entry["data_key_ids"])
    return count
