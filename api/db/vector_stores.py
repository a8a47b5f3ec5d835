"""Queries on vector stores. What is sealed passes as the bytes it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from api.db.privacy import counted
from api.db.tables import Chunk, VectorStore, VectorStoreFile, VectorStoreFileBatch
from api.db.windows import Window, through

TOUCH = text(
    "UPDATE vector_stores SET last_active_at = now() WHERE id IN"
    " (SELECT id FROM vector_stores WHERE id = ANY(:store_ids) AND last_active_at < now() - interval '1 minute'"
    " AND (expires_after_days IS NULL OR last_active_at + make_interval(days => expires_after_days) > now())"
    " FOR UPDATE SKIP LOCKED)"
)


SEARCHED = text(
    "SELECT s.id AS store_id, s.organization_id, s.data_key_id, s.last_active_at, s.expires_after_days,"
    " coalesce(i.id, s.id) AS id, coalesce(i.seq, s.seq) AS seq, coalesce(i.dimensions, s.dimensions) AS dimensions,"
    " coalesce(i.embedding_model, s.embedding_model) AS embedding_model,"
    " CASE WHEN i.id IS NULL THEN s.probe ELSE i.probe END AS probe"
    " FROM vector_stores s LEFT JOIN vector_stores i ON i.id = s.index_id"
    " WHERE s.id = ANY(:store_ids) AND s.index_of IS NULL"
)


@dataclass(frozen=True, slots=True)
class Searched:
    """What is searched for the store `store_id`: another row, or the store itself."""

    store_id: str
    organization_id: str
    data_key_id: str
    last_active_at: datetime
    expires_after_days: int | None
    id: str
    seq: int
    dimensions: int
    embedding_model: str
    probe: bytes | None


@dataclass(slots=True)
class Counts:
    """Files by status, and the bytes that their chunks take."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    usage_bytes: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.in_progress + self.completed + self.failed + self.cancelled


async def add(session: AsyncSession, row: VectorStore) -> None:
    """A new one."""
    session.add(row)
    await session.flush()
    await session.refresh(row)


async def page(
    session: AsyncSession, organization_id: str, user_id: str | None, window: Window
) -> tuple[list[VectorStore], bool]:
    """An owner's stores by the time they were made, and whether there are more. Errors as `through`."""
    here = and_(
        VectorStore.organization_id == organization_id,
        VectorStore.user_id.is_not_distinct_from(user_id),
        VectorStore.index_of.is_(None),
    )
    columns = (VectorStore.created_at, VectorStore.id)
    return await through(session, select(VectorStore).where(here), columns, here, window, timed=True)


async def all_of(session: AsyncSession, store_ids: Sequence[str]) -> dict[str, VectorStore]:
    """Those that are there and that this unit of work may see, by id, as they are now."""
    query = select(VectorStore).where(VectorStore.id.in_(store_ids), VectorStore.index_of.is_(None))
    return {row.id: row for row in await session.scalars(query.execution_options(populate_existing=True))}


async def searched(session: AsyncSession, store_ids: Sequence[str]) -> dict[str, Searched]:
    """What is searched for each of these that is there and that this unit of work may see."""
    return {row.store_id: Searched(*row) for row in await session.execute(SEARCHED, {"store_ids": list(store_ids)})}


async def indexes(session: AsyncSession, stores: Sequence[VectorStore]) -> dict[str, VectorStore]:
    """What is searched for each of these stores, by the store's id: another row, or the store itself."""
    moved = {row.index_id: row for row in stores if row.index_id is not None}
    query = select(VectorStore).where(VectorStore.id.in_(moved)).execution_options(populate_existing=True)
    found = {moved[row.id].id: row for row in await session.scalars(query)} if moved else {}
    return {row.id: found.get(row.id, row) for row in stores}


async def index_ids(session: AsyncSession, store_id: str) -> list[str]:
    """All rows that are or were indexes of a store, besides itself."""
    return list(await session.scalars(select(VectorStore.id).where(VectorStore.index_of == store_id)))


async def attempts(session: AsyncSession, store_ids: Sequence[str]) -> dict[str, VectorStore]:
    """The new index that is being made for each of these stores, where one is."""
    store = aliased(VectorStore)
    query = (
        select(VectorStore)
        .join(store, store.id == VectorStore.index_of)
        .where(store.id.in_(store_ids), VectorStore.id.is_distinct_from(store.index_id), ~VectorStore.retired)
    )
    return {str(row.index_of): row for row in await session.scalars(query)}


async def change(session: AsyncSession, store_id: str, **values: object) -> VectorStore:
    """Set columns; the row as it is then."""
    query = update(VectorStore).where(VectorStore.id == store_id).values(**values).returning(VectorStore)
    return (await session.scalars(query.execution_options(populate_existing=True))).one()


async def touch(session: AsyncSession, store_ids: Sequence[str]) -> None:
    """Stores were used: once a minute it is noted. One that is just being changed is left for the next time.

    One whose time came to its end meanwhile, as it is removed, stays over.
    """
    await session.execute(TOUCH, {"store_ids": list(store_ids)})


async def end_now(session: AsyncSession, store_id: str) -> None:
    """The store's time is over: nobody searches or changes it any more, and jobs remove it if its owner does not."""
    values = {"last_active_at": datetime.fromtimestamp(0, UTC), "expires_after_days": 1}
    await session.execute(update(VectorStore).where(VectorStore.id == store_id).values(values))


async def remove_chunks(session: AsyncSession, store_id: str, limit: int) -> int:
    """Remove some chunks of a store that goes; how many. Nobody is told."""
    here = Chunk.vector_store_id == store_id
    some = select(Chunk.id).where(here).limit(limit).scalar_subquery()
    query = delete(Chunk).where(here, Chunk.id.in_(some)).execution_options(synchronize_session=False)
    return counted(await session.execute(query))


async def remove(session: AsyncSession, store_id: str) -> None:
    """Remove one with what it holds."""
    await session.execute(delete(VectorStore).where(VectorStore.id == store_id))


async def remove_files(session: AsyncSession, store_id: str, limit: int) -> int:
    """Take some files out of a store, with their chunks; how many."""
    here = VectorStoreFile.vector_store_id == store_id
    some = select(VectorStoreFile.file_id).where(here).order_by(VectorStoreFile.file_id).limit(limit)
    file_ids = list(await session.scalars(some.with_for_update()))
    gone = delete(VectorStoreFile).where(here, VectorStoreFile.file_id.in_(file_ids))
    await session.execute(gone.execution_options(synchronize_session=False))
    return len(file_ids)


async def counts(session: AsyncSession, store_ids: Sequence[str]) -> dict[str, Counts]:
    """The files of each store."""
    return await _counted(session, VectorStoreFile.vector_store_id, store_ids)


async def counts_of_batch(session: AsyncSession, store_id: str, batch_id: str) -> Counts:
    """The files of a batch, as they are now."""
    of_batch = VectorStoreFile.file_id.in_(files_of_batch(batch_id))
    return (await _counted(session, VectorStoreFile.vector_store_id, [store_id], of_batch))[store_id]


def files_of_batch(batch_id: str) -> Select[str]:
    """The ids of a batch's files."""
    return select(func.unnest(VectorStoreFileBatch.file_ids)).where(VectorStoreFileBatch.id == batch_id)


async def expired(session: AsyncSession, limit: int) -> list[str]:
    """Stores whose time is over."""
    query = select(VectorStore.id).where(VectorStore.expires_after_days.is_not(None), end() <= func.now())
    query = query.where(VectorStore.index_of.is_(None))
    return list(await session.scalars(query.limit(limit)))


def end() -> ColumnElement[datetime]:
    """When a store's time is over."""
    return VectorStore.last_active_at + func.make_interval(0, 0, 0, VectorStore.expires_after_days)


async def _counted(
    session: AsyncSession, of: SQLColumnExpression[Any], ids: Sequence[str], *where: ColumnElement[bool]
) -> dict[str, Counts]:
    query = select(of, VectorStoreFile.status, func.count(), func.sum(VectorStoreFile.usage_bytes))
    found = {each: Counts() for each in ids}
    for id_, status, number, size in await session.execute(
        query.where(of.in_(ids), *where).group_by(of, VectorStoreFile.status)
    ):
        setattr(found[id_], status, number)
        found[id_].usage_bytes += int(size)
    return found
