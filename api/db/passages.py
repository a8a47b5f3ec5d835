"""What search results are read from: chunks with the files that they are of, as a unit of work may see them."""

from collections.abc import Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import Chunk, File, VectorStoreFile
from retrieval.feed import SealedChunk


async def found(
    session: AsyncSession, store_id: str, chunk_ids: Sequence[int]
) -> list[tuple[SealedChunk, VectorStoreFile, File]]:
    """Those of these chunks that are there, of files whose time is not over, in any order; without vectors."""
    columns = (Chunk.id, Chunk.file_id, Chunk.number, Chunk.content)
    query = (
        select(*columns, VectorStoreFile, File)
        .join(
            VectorStoreFile,
            (VectorStoreFile.vector_store_id == Chunk.vector_store_id) & (VectorStoreFile.file_id == Chunk.file_id),
        )
        .join(File, File.id == Chunk.file_id)
        .where(Chunk.vector_store_id == store_id, Chunk.id.in_(chunk_ids))
        .where(or_(File.expires_at.is_(None), File.expires_at > func.now()))
    )
    rows = await session.execute(query)
    return [
        (SealedChunk(row.id, row.file_id, row.number, row.content, b""), row.VectorStoreFile, row.File) for row in rows
    ]
