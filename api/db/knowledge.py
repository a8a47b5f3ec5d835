"""The changes of vector stores, as search replicas follow them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.privacy import counted
from api.db.tables import Chunk, VectorStore, VectorStoreChange, VectorStoreFile
from retrieval.feed import Changes, SealedChunk
from retrieval.shards import WHOLE, Shard

REMOVE = text("SELECT remove_chunks(:store_id, :file_id)")
OUTDATED = text("""
    SELECT p.store_id, p.seq
    FROM unnest(CAST(:store_ids AS text[]), CAST(:seqs AS bigint[])) AS p(store_id, seq)
    LEFT JOIN vector_stores s ON s.id = p.store_id
    WHERE s.id IS NULL OR s.index_id IS NOT NULL OR s.seq <> p.seq AND (
        (SELECT c.seq FROM vector_store_changes c WHERE c.vector_store_id = p.store_id AND c.seq = p.seq) IS NULL
        OR p.seq < (
            SELECT max(c.seq) FROM vector_store_changes c
            WHERE c.vector_store_id = p.store_id AND c.chunk_ids <> '{}'
        )
    )
""")


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


async def outdated(session: AsyncSession, places: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Of stores, each with a change of it, those at which nobody may stand any more; see `retrieval.feed.Feed`."""
    store_ids, seqs = [store_id for store_id, _ in places], [seq for _, seq in places]
    rows = await session.execute(OUTDATED, {"store_ids": store_ids, "seqs": seqs})
    return [(row.store_id, row.seq) for row in rows]


async def changes(
    session: AsyncSession, store_id: str, after: int, seen: int, limit: int, shard: Shard = WHOLE
) -> Changes | None:
    """What happened behind `after`, at least one change and about `limit` chunks; None where one must begin at 0.

    A store that was set back with its database, and went on, does not know the changes that are told here. Of chunks,
    those of the shard. The unit of work reads a snapshot: a change in the middle would be seen by half.
    """
    head = await session.scalar(select(VectorStore.seq).where(VectorStore.id == store_id))
    if head is None or (after and not await _known(session, store_id, after, seen, head)):
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
    return counted(await session.execute(query))


async def _known(session: AsyncSession, store_id: str, after: int, seen: int, head: int) -> bool:
    """Whether the store had both changes: a page may end at one that is forgotten, before all that are known."""
    if seen != head and await session.get(VectorStoreChange, (store_id, seen)) is None:
        return False
    last = select(func.max(VectorStoreChange.seq)).where(
        VectorStoreChange.vector_store_id == store_id, VectorStoreChange.seq <= after
    )
    return await session.scalar(last) in {None, after}


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
