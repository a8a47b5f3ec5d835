"""The changes of vector stores, as search replicas follow them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import Chunk, VectorStore, VectorStoreChange, VectorStoreFile
from retrieval.feed import Changes, SealedChunk
from retrieval.shards import WHOLE, Shard

REMOVE = text("SELECT remove_chunks(:store_id, :file_id)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change stands: its number in the store, and the first id for its chunks."""

    seq: int
    first_chunk: int


async def lock_store(session: AsyncSession, store_id: str, chunks: int = 0) -> Place | None:
    """The place of the next change, with room for so many chunks; None where it is gone, or no index any more.

    Until the unit of work ends nobody else changes the store, so its numbers commit in their order.
    """
    query = (
        update(VectorStore)
        .where(VectorStore.id == store_id, VectorStore.index_id.is_(None), ~VectorStore.retired)
        .values(seq=VectorStore.seq + 1, next_chunk=VectorStore.next_chunk + chunks)
        .returning(VectorStore.seq, VectorStore.next_chunk)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else Place(row.seq, row.next_chunk - chunks)


async def remove_chunks(session: AsyncSession, store_id: str, file_id: str) -> None:
    """Take back what was written of a file that stays. The role of jobs may."""
    await session.execute(REMOVE, {"store_id": store_id, "file_id": file_id})


async def store(session: AsyncSession, store_id: str) -> VectorStore | None:
    """The row of a store."""
    return await session.get(VectorStore, store_id)


async def heads(session: AsyncSession, store_ids: Sequence[str]) -> dict[str, int]:
    """The last change of each store that is there."""
    rows = await session.execute(select(VectorStore.id, VectorStore.seq).where(VectorStore.id.in_(store_ids)))
    return {row.id: row.seq for row in rows}


async def removals(session: AsyncSession, store_ids: Sequence[str]) -> dict[str, float]:
    """When chunks last went from each store, in Unix seconds; a store whose place another index took lost all then."""
    last = select(VectorStoreChange.vector_store_id, func.max(VectorStoreChange.created_at))
    gone = await session.execute(
        last.where(VectorStoreChange.vector_store_id.in_(store_ids), VectorStoreChange.chunk_ids != []).group_by(
            VectorStoreChange.vector_store_id
        )
    )
    moved = await session.execute(
        select(VectorStore.id, VectorStore.index_since).where(
            VectorStore.id.in_(store_ids), VectorStore.index_id.is_not(None)
        )
    )
    return {store_id: at.timestamp() for store_id, at in [*gone, *moved]}


async def changes(
    session: AsyncSession, store_id: str, after: int, seen: int, limit: int, shard: Shard = WHOLE
) -> Changes | None:
    """What happened behind `after`, at least one change and about `limit` chunks; None where one must begin at 0.

    A store that was set back with its database, and went on, does not know the change `seen` that is told here.
    Of chunks, those of the shard. The unit of work reads a snapshot: a change in the middle would be seen by half.
    """
    head = await session.scalar(select(VectorStore.seq).where(VectorStore.id == store_id))
    if head is None or (after and seen != head and not await _known(session, store_id, seen)):
        return None
    behind = [Chunk.vector_store_id == store_id, Chunk.seq > after]
    if shard != WHOLE:
        behind.append(Chunk.id % shard.count == shard.number)
    far = select(Chunk.seq).where(*behind).order_by(Chunk.seq).offset(limit - 1).limit(1)
    upto = await session.scalar(far) or head
    found = await session.execute(
        select(Chunk.id, Chunk.file_id, Chunk.number, Chunk.content, Chunk.vectors)
        .where(*behind, Chunk.seq <= upto)
        .order_by(Chunk.seq, Chunk.id)
    )
    chunks = [SealedChunk(*each) for each in found]
    removed, since = await _removed(session, store_id, after, upto, shard) if after else ([], None)
    return Changes(
        upto,
        head,
        chunks,
        removed,
        await _described(session, store_id, after, upto, {chunk.file_id for chunk in chunks}),
        since,
    )


async def forget_changes(session: AsyncSession, before: datetime) -> int:
    """Forget changes of before that, but for each store's last; who stands at one of them begins anew. How many."""
    old = (
        select(VectorStoreChange.vector_store_id, func.max(VectorStoreChange.seq).label("seq"))
        .where(VectorStoreChange.created_at <= before)
        .group_by(VectorStoreChange.vector_store_id)
        .subquery()
    )
    query = delete(VectorStoreChange).where(
        VectorStoreChange.vector_store_id == old.c.vector_store_id,
        VectorStoreChange.seq <= old.c.seq,
        VectorStore.id == VectorStoreChange.vector_store_id,
        VectorStoreChange.seq < VectorStore.seq,
    )
    return len(list(await session.scalars(query.returning(VectorStoreChange.seq))))


async def _known(session: AsyncSession, store_id: str, seq: int) -> bool:
    return await session.get(VectorStoreChange, (store_id, seq)) is not None


async def _removed(
    session: AsyncSession, store_id: str, after: int, upto: int, shard: Shard
) -> tuple[list[int], float | None]:
    """Chunks of the shard that went, and when the oldest of these changes was written."""
    query = select(VectorStoreChange.chunk_ids, VectorStoreChange.created_at).where(
        VectorStoreChange.vector_store_id == store_id, VectorStoreChange.seq > after, VectorStoreChange.seq <= upto
    )
    rows = (await session.execute(query)).all()
    gone = [chunk_id for row in rows for chunk_id in row.chunk_ids or () if shard.holds(chunk_id)]
    return gone, min((row.created_at.timestamp() for row in rows), default=None)


async def _described(
    session: AsyncSession, store_id: str, after: int, upto: int, new: set[str]
) -> list[tuple[str, bytes]]:
    """Attributes that changed, and those of files that are new to who follows."""
    columns = select(VectorStoreFile.file_id, VectorStoreFile.attributes)
    here = VectorStoreFile.vector_store_id == store_id
    changed = columns.where(here, VectorStoreFile.described_seq > after, VectorStoreFile.described_seq <= upto)
    first = columns.where(here, VectorStoreFile.file_id.in_(new))
    rows = [*await session.execute(changed), *(await session.execute(first) if new else ())]
    return [(row.file_id, row.attributes) for row in rows]
