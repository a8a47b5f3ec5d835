"""What search results are read from: chunks with the files that they are of, as a unit of work may see them.

Plain rows, since every search reads some: as objects of the session they would cost three times as much.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.files import SealedName
from retrieval.feed import SealedChunk

FOUND = text(
    "SELECT c.id, c.file_id, c.number, c.content, v.organization_id, v.attributes, v.data_key_id, v.name"
    " FROM unnest(CAST(:chunk_ids AS bigint[])) AS asked (id)"
    " CROSS JOIN LATERAL (SELECT c.id, c.file_id, c.number, c.content FROM chunks c"
    " WHERE c.vector_store_id = :store_id AND c.id = asked.id OFFSET 0) c"
    " CROSS JOIN LATERAL (SELECT v.organization_id, v.attributes, f.data_key_id, f.name"
    " FROM vector_store_files v CROSS JOIN LATERAL (SELECT f.data_key_id, f.name FROM files f"
    " WHERE f.id = v.file_id AND (f.expires_at IS NULL OR f.expires_at > now()) OFFSET 0) f"
    " WHERE v.vector_store_id = :store_id AND v.file_id = c.file_id OFFSET 0) v"
)
"""OFFSET 0 has each row looked up by its key: in tables that grew since they were analyzed, PostgreSQL would rather
read and join the whole store, for seconds. Every search of a store of 50,000 new chunks ended in 503 then.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk without its vectors, and of its file in this store the sealed attributes and name."""

    chunk: SealedChunk
    vector_store_id: str
    file_id: str
    organization_id: str
    attributes: bytes
    name: SealedName


async def found(session: AsyncSession, store_id: str, chunk_ids: Sequence[int]) -> list[Found]:
    """Those of these chunks that are there, of files whose time is not over, in any order."""
    rows = await session.execute(FOUND, {"store_id": store_id, "chunk_ids": list(chunk_ids)})
    return [
        Found(
            SealedChunk(row.id, row.file_id, row.number, row.content, b""),
            store_id,
            row.file_id,
            row.organization_id,
            row.attributes,
            SealedName(row.file_id, row.organization_id, row.data_key_id, row.name),
        )
        for row in rows
    ]
