"""The queue of files that vector stores wait for, and how what was made of them is written.

A claim is a lease with a number, the epoch: whoever lost the lease writes nothing any more. Its step is random, so a
database that was set back gives no number out again that somebody still works with. Everything that may write locks the
file's row before the store's.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.ingest_parts import Hold, Outcome, Part
from api.db.knowledge import lock_store, remove_chunks
from api.db.tables import Chunk, File, VectorStore, VectorStoreFile
from api.db.vector_stores import end

CHANNEL = "manta_ingest"
LEASE_S = 120.0
TRIES = 3
GROUP_FILES = 64
GROUP_BYTES = 8 * 2**20
EPOCHS = 2**24
"""A claim's epoch is up to so much above the last."""
WAITING = "in_progress"
GIVEN_UP = (
    "The work on this file broke off three times, which is no fault that a message describes: the log of 'control' "
    "tells more. Add the file again to try once more."
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A file to index: how, and where its bytes are. `filename` is sealed; ids of keys are those of owners."""

    hold: Hold
    organization_id: str
    attempts: int
    max_tokens: int
    overlap_tokens: int
    embedding_model: str
    dimensions: int
    probe: bytes | None
    store_key_id: str
    file_key_id: str
    filename: bytes
    blob: str
    size: int


class _Held(NamedTuple):
    """Whose a file is that is still wanted, and how many of its chunks are written."""

    organization_id: str
    user_id: str | None
    there: int


async def claim(session: AsyncSession, after: str = "", lease_s: float = LEASE_S) -> list[Claim]:
    """Files of one embedding model that are due, leased to the caller; none where nothing is.

    Stores take turns: those behind the store `after` come first. What broke off once is tried alone.
    """
    first = await _due(session, 1, VectorStoreFile.vector_store_id > after) or await _due(session, 1)
    if not first or first[0].attempts:
        return await _leased(session, first, lease_s)
    store_id, model = first[0].hold.store_id, first[0].embedding_model
    alike = (VectorStore.embedding_model == model, VectorStoreFile.attempts == 0)
    found = await _due(session, GROUP_FILES, VectorStoreFile.vector_store_id >= store_id, *alike)
    taken: list[Claim] = []
    size = 0
    for each in found:
        size += each.size
        if taken and size > GROUP_BYTES:
            break
        taken.append(each)
    return await _leased(session, taken, lease_s)


async def write(session: AsyncSession, store_id: str, parts: Sequence[Part]) -> set[str]:
    """Write parts of one store; the files of which nothing is written, as this work on them is not wanted any more.

    The same parts may be written again where it is not known whether the first time was committed. A file whose parts
    before these were lost, as the database was set back, is due again.
    """
    held = await _held(session, store_id, parts)
    torn = {part.hold for part in parts if part.hold.file_id in held and part.is_torn(held[part.hold.file_id].there)}
    await give_back(session, torn, charged=True)
    wanted = [part for part in parts if part.hold.file_id in held and part.hold not in torn]
    for part in wanted:
        if part.fails or (part.begins and held[part.hold.file_id].there):
            await remove_chunks(session, store_id, part.hold.file_id)
    ready = [(part, chunk) for part in wanted for chunk in part.chunks]
    if ready:
        place = await lock_store(session, store_id, len(ready))
        if place is None:
            return {part.hold.file_id for part in parts}
        rows = [
            {
                "vector_store_id": store_id, "id": place.first_chunk + offset, "seq": place.seq,
                "file_id": part.hold.file_id, "number": number, "content": content, "vectors": vectors,
                "organization_id": held[part.hold.file_id].organization_id, "user_id": held[part.hold.file_id].user_id,
            }
            for offset, (part, (number, content, vectors)) in enumerate(ready)
        ]  # fmt: skip
        await session.execute(insert(Chunk).on_conflict_do_nothing(), rows)
    await _end(session, [(part.hold, part.outcome) for part in wanted if part.outcome is not None])
    return {part.hold.file_id for part in parts} - {part.hold.file_id for part in wanted}


async def renew(session: AsyncSession, holds: Iterable[Hold], lease_s: float = LEASE_S) -> set[Hold]:
    """Prolong leases; those that still count."""
    values = {"leased_until": func.now() + timedelta(seconds=lease_s)}
    return await _changed(session, holds, values)


async def give_back(
    session: AsyncSession, holds: Iterable[Hold], *, delay_s: float = 0.0, charged: bool = False
) -> set[Hold]:
    """Files are due again after `delay_s`. `charged`: the try counts, as the file may be what broke it."""
    values: dict[str, Any] = {"leased_until": func.now() + timedelta(seconds=delay_s)}
    if not charged:
        values["attempts"] = VectorStoreFile.attempts - 1
    return await _changed(session, holds, values)


async def release_all(session: AsyncSession) -> int:
    """A new leader: nobody else works on anything any more. How many leases there were."""
    query = update(VectorStoreFile).where(VectorStoreFile.status == WAITING, VectorStoreFile.leased_until > func.now())
    return len(list(await session.scalars(query.values(leased_until=func.now()).returning(VectorStoreFile.file_id))))


async def standing(session: AsyncSession) -> tuple[int, int]:
    """How many files wait, and how many are worked on."""
    leased = func.count().filter(VectorStoreFile.leased_until > func.now())
    row = (await session.execute(select(func.count(), leased).where(VectorStoreFile.status == WAITING))).one()
    return row[0] - row[1], row[1]


async def settle(session: AsyncSession) -> int:
    """End what was tried too often, and take back what was written of cancelled files; how many there were."""
    over = VectorStoreFile.leased_until <= func.now()
    exhausted = _failed(GIVEN_UP) | {"leased_until": None}
    told = (VectorStoreFile.vector_store_id, VectorStoreFile.file_id)
    table = update(VectorStoreFile)
    failed = table.where(over, VectorStoreFile.status == WAITING, VectorStoreFile.attempts >= TRIES)
    cancelled = table.where(over, VectorStoreFile.status == "cancelled")
    gone = [
        *await session.execute(failed.values(exhausted).returning(*told)),
        *await session.execute(cancelled.values(leased_until=None).returning(*told)),
    ]
    for store_id, file_id in sorted((row.vector_store_id, row.file_id) for row in gone):
        await remove_chunks(session, store_id, file_id)
    return len(gone)


async def _due(session: AsyncSession, limit: int, *conditions: ColumnElement[bool]) -> list[Claim]:
    free = or_(VectorStoreFile.leased_until.is_(None), VectorStoreFile.leased_until <= func.now())
    living = or_(VectorStore.expires_after_days.is_(None), end() > func.now())
    query = (
        select(VectorStoreFile, VectorStore.embedding_model, VectorStore.dimensions, VectorStore.probe,
               VectorStore.data_key_id.label("store_key_id"), File.data_key_id.label("file_key_id"),
               File.name, File.blob, File.size)
        .join(VectorStore, VectorStore.id == VectorStoreFile.vector_store_id)
        .join(File, File.id == VectorStoreFile.file_id)
        .where(VectorStoreFile.status == WAITING, VectorStoreFile.attempts < TRIES, free, living, *conditions)
        .order_by(VectorStoreFile.vector_store_id, VectorStoreFile.created_at, VectorStoreFile.file_id)
        .limit(limit)
        .with_for_update(of=VectorStoreFile, skip_locked=True, key_share=True)
    )  # fmt: skip
    found = []
    for row in await session.execute(query.execution_options(populate_existing=True)):
        file: VectorStoreFile = row.VectorStoreFile
        found.append(
            Claim(
                Hold(file.vector_store_id, file.file_id, file.epoch), file.organization_id, file.attempts,
                file.max_tokens, file.overlap_tokens, row.embedding_model, row.dimensions, row.probe,
                row.store_key_id, row.file_key_id, row.name, row.blob, row.size,
            )
        )  # fmt: skip
    return found


async def _leased(session: AsyncSession, claims: list[Claim], lease_s: float) -> list[Claim]:
    step = 1 + secrets.randbelow(EPOCHS)
    values = {
        "epoch": VectorStoreFile.epoch + step,
        "attempts": VectorStoreFile.attempts + 1,
        "leased_until": func.now() + timedelta(seconds=lease_s),
    }
    keys = [(each.hold.store_id, each.hold.file_id) for each in claims]
    if keys:
        key = tuple_(VectorStoreFile.vector_store_id, VectorStoreFile.file_id)
        query = update(VectorStoreFile).where(key.in_(keys)).values(values)
        await session.execute(query, execution_options={"synchronize_session": False})
    return [replace(each, hold=replace(each.hold, epoch=each.hold.epoch + step)) for each in claims]


async def _held(session: AsyncSession, store_id: str, parts: Sequence[Part]) -> dict[str, _Held]:
    """The files that are still wanted, their rows locked; the others are cleared away."""
    epochs = {part.hold.file_id: part.hold.epoch for part in parts}
    written = select(func.max(Chunk.number) + 1).where(
        Chunk.vector_store_id == VectorStoreFile.vector_store_id, Chunk.file_id == VectorStoreFile.file_id
    )
    columns = (VectorStoreFile.file_id, VectorStoreFile.status, VectorStoreFile.epoch, VectorStoreFile.organization_id,
               VectorStoreFile.user_id, func.coalesce(written.scalar_subquery(), 0).label("there"))  # fmt: skip
    query = (
        select(*columns)
        .where(VectorStoreFile.vector_store_id == store_id, VectorStoreFile.file_id.in_(sorted(epochs)))
        .order_by(VectorStoreFile.file_id)
        .with_for_update(key_share=True)
    )
    held = {}
    for row in await session.execute(query):
        if row.epoch != epochs[row.file_id]:
            continue
        if row.status == WAITING:
            held[row.file_id] = _Held(row.organization_id, row.user_id, row.there)
        elif row.status == "cancelled":
            await remove_chunks(session, store_id, row.file_id)
    return held


async def _end(session: AsyncSession, ends: Sequence[tuple[Hold, Outcome]]) -> None:
    rows = [
        {"vector_store_id": hold.store_id, "file_id": hold.file_id, "leased_until": None}
        | (
            _failed(outcome.error_message, outcome.error_code)
            if outcome.error_code is not None
            else {
                "status": "completed", "error_code": None, "error_message": None,
                "chunk_count": outcome.chunk_count, "usage_bytes": outcome.usage_bytes, "notes": outcome.notes,
            }
        )
        for hold, outcome in ends
    ]  # fmt: skip
    if rows:
        await session.execute(update(VectorStoreFile), rows)


def _failed(message: str | None, code: str = "server_error") -> dict[str, Any]:
    return {
        "status": "failed", "error_code": code, "error_message": message, "chunk_count": 0, "usage_bytes": 0,
        "notes": None,
    }  # fmt: skip


async def _changed(session: AsyncSession, holds: Iterable[Hold], values: dict[str, Any]) -> set[Hold]:
    keys = sorted((hold.store_id, hold.file_id, hold.epoch) for hold in holds)
    if not keys:
        return set()
    columns = (VectorStoreFile.vector_store_id, VectorStoreFile.file_id, VectorStoreFile.epoch)
    query = update(VectorStoreFile).where(VectorStoreFile.status == WAITING, tuple_(*columns).in_(keys))
    rows = await session.execute(
        query.values(values).returning(*columns), execution_options={"synchronize_session": False}
    )
    return {Hold(*row) for row in rows}
