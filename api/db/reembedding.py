"""Queries on indexes that are being made anew beside the one that is searched. The role of jobs asks them."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from api.db.tables import VectorStore, VectorStoreFile, VectorStoreFileBatch

KEPT = text("interval '1 minute'")
"""How long what was searched stays: a search that began before the change may still read its rows."""
COMPLETED, WAITING = "completed", "in_progress"


async def attempts(session: AsyncSession) -> list[tuple[VectorStore, VectorStore]]:
    """Every store with the index that is being made for it."""
    index = aliased(VectorStore)
    query = (
        select(VectorStore, index)
        .join(index, index.index_of == VectorStore.id)
        .where(index.id.is_distinct_from(VectorStore.index_id), ~index.retired)
        .order_by(index.created_at)
    )
    return [(row[0], row[1]) for row in await session.execute(query)]


async def copy(
    session: AsyncSession, new: VectorStore, rows: Sequence[VectorStoreFile], sealed: Sequence[bytes]
) -> bool:
    """Have files be indexed in the new index too, with attributes that are sealed for it; False where one is gone."""
    values = [
        {
            "vector_store_id": new.id, "file_id": row.file_id, "organization_id": row.organization_id,
            "user_id": row.user_id, "batch_id": row.batch_id, "attributes": attributes,
            "max_tokens": row.max_tokens, "overlap_tokens": row.overlap_tokens, "created_at": row.created_at,
        }
        for row, attributes in zip(rows, sealed, strict=True)
    ]  # fmt: skip
    try:
        await session.execute(insert(VectorStoreFile).on_conflict_do_nothing(), values)
    except IntegrityError:
        return False
    return True


async def missing(session: AsyncSession, old_id: str, new_id: str, limit: int) -> list[VectorStoreFile]:
    """Files of the old index that the new one lacks."""
    there = aliased(VectorStoreFile)
    query = select(VectorStoreFile).where(
        VectorStoreFile.vector_store_id == old_id,
        VectorStoreFile.status != "cancelled",
        ~select(literal(1)).where(there.vector_store_id == new_id, there.file_id == VectorStoreFile.file_id).exists(),
    )
    return list(await session.scalars(query.order_by(VectorStoreFile.file_id).limit(limit)))


async def drop_strays(session: AsyncSession, old_id: str, new_id: str) -> int:
    """Take out of the new index what left the old one, or is cut in another way there; how many."""
    strays = select(VectorStoreFile.file_id).where(*_strays(old_id, new_id)).order_by(VectorStoreFile.file_id)
    file_ids = list(await session.scalars(strays.with_for_update()))
    here = VectorStoreFile.vector_store_id == new_id
    if file_ids:
        await session.execute(delete(VectorStoreFile).where(here, VectorStoreFile.file_id.in_(file_ids)))
    return len(file_ids)


async def both(
    session: AsyncSession, old_id: str, new_id: str, after: str, limit: int
) -> list[tuple[VectorStoreFile, VectorStoreFile]]:
    """Files that are in both indexes, as each has them, by id, behind `after`."""
    there = aliased(VectorStoreFile)
    query = (
        select(VectorStoreFile, there)
        .join(there, and_(there.file_id == VectorStoreFile.file_id, there.vector_store_id == new_id))
        .where(VectorStoreFile.vector_store_id == old_id, VectorStoreFile.file_id > after)
    )
    return [(row[0], row[1]) for row in await session.execute(query.order_by(VectorStoreFile.file_id).limit(limit))]


async def described(session: AsyncSession, store_id: str) -> int:
    """The last change of attributes in an index."""
    query = select(func.coalesce(func.max(VectorStoreFile.described_seq), 0))
    return int(await session.scalar(query.where(VectorStoreFile.vector_store_id == store_id)) or 0)


async def lock(session: AsyncSession, store_ids: Sequence[str]) -> bool:
    """Nobody else changes these until the unit of work ends; False where one is gone or retired."""
    query = select(VectorStore.id).where(VectorStore.id.in_(store_ids), ~VectorStore.retired)
    found = list(await session.scalars(query.order_by(VectorStore.id).with_for_update(key_share=True)))
    return len(found) == len(set(store_ids))


async def complete(session: AsyncSession, old_id: str, new_id: str) -> bool:
    """Whether the new index has all that the old one has and nothing besides, and waits for nothing."""
    there = aliased(VectorStoreFile)
    waiting = select(literal(1)).where(VectorStoreFile.vector_store_id == new_id, VectorStoreFile.status == WAITING)
    lacking = (
        select(literal(1))
        .select_from(VectorStoreFile)
        .outerjoin(there, and_(there.file_id == VectorStoreFile.file_id, there.vector_store_id == new_id))
        .where(
            VectorStoreFile.vector_store_id == old_id,
            VectorStoreFile.status != "cancelled",
            or_(
                there.file_id.is_(None),
                and_(VectorStoreFile.status == COMPLETED, there.status != COMPLETED),
                there.max_tokens != VectorStoreFile.max_tokens,
                there.overlap_tokens != VectorStoreFile.overlap_tokens,
            ),
        )
    )
    strays = select(literal(1)).where(*_strays(old_id, new_id))
    return not await session.scalar(select(or_(waiting.exists(), lacking.exists(), strays.exists())))


async def swap(session: AsyncSession, store_id: str, old_id: str, new_id: str) -> None:
    """From the end of this unit of work on, the new index is the store's. The caller holds both."""
    batches = update(VectorStoreFileBatch).where(VectorStoreFileBatch.vector_store_id == old_id)
    await session.execute(batches.values(vector_store_id=new_id))
    chosen = update(VectorStore).where(VectorStore.id == store_id)
    await session.execute(chosen.values(index_id=new_id, index_since=func.now()))
    if old_id != store_id:
        await session.execute(update(VectorStore).where(VectorStore.id == old_id).values(retired=True))


async def retired(session: AsyncSession) -> list[str]:
    """Indexes that nobody searches any more."""
    store = aliased(VectorStore)
    query = select(VectorStore.id).join(store, store.id == VectorStore.index_of)
    over = or_(store.index_since.is_(None), store.index_since < func.now() - KEPT)
    return list(await session.scalars(query.where(VectorStore.retired, over)))


async def left_behind(session: AsyncSession) -> list[str]:
    """Stores whose own rows nobody searches any more, as another index has taken their place."""
    rows = select(literal(1)).where(VectorStoreFile.vector_store_id == VectorStore.id).exists()
    query = select(VectorStore.id).where(VectorStore.index_id.is_not(None), VectorStore.index_since < func.now() - KEPT)
    return list(await session.scalars(query.where(rows)))


def _strays(old_id: str, new_id: str) -> tuple[ColumnElement[bool], ...]:
    """Files of the new index that the old one does not have as they are there, or that are to be tried once more."""
    there = aliased(VectorStoreFile)
    same = select(literal(1)).where(
        there.vector_store_id == old_id,
        there.file_id == VectorStoreFile.file_id,
        there.status != "cancelled",
        there.max_tokens == VectorStoreFile.max_tokens,
        there.overlap_tokens == VectorStoreFile.overlap_tokens,
        or_(there.status != WAITING, VectorStoreFile.status != "failed"),
    )
    return VectorStoreFile.vector_store_id == new_id, or_(VectorStoreFile.status == "cancelled", ~same.exists())
