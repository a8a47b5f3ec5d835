"""Queries on the files in vector stores and on their batches. What is sealed passes as the bytes it is.

As in `api.db.ingest`, whoever writes has the files' rows, by id, before the store's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.ingest import CHANNEL, WAITING
from api.db.notifications import notify
from api.db.tables import Chunk, VectorStoreFile, VectorStoreFileBatch
from api.db.vector_stores import counts_of_batch, files_of_batch
from api.db.windows import Window, through

ONE_ADDER = text("select pg_advisory_xact_lock(hashtextextended('manta store ' || :store_id, 0))")
GIVEN = (
    " unnest(CAST(:file_ids AS text[]), CAST(:attributes AS bytea[]), CAST(:max_tokens AS int[]),"
    " CAST(:overlap_tokens AS int[])) AS given (file_id, attributes, max_tokens, overlap_tokens)"
)
HERE = " WHERE f.vector_store_id = :store_id AND f.file_id = given.file_id"
ADD = text(
    "INSERT INTO vector_store_files (vector_store_id, file_id, organization_id, user_id, batch_id, attributes,"  # noqa: S608  made of constants
    " max_tokens, overlap_tokens) SELECT :store_id, given.file_id, :organization_id, :user_id, :batch_id,"
    f" given.attributes, given.max_tokens, given.overlap_tokens FROM {GIVEN} ON CONFLICT DO NOTHING"
)
AGAIN = text(
    "UPDATE vector_store_files AS f SET status = 'in_progress', error_code = NULL, error_message = NULL,"  # noqa: S608  made of constants
    " sizes_before = CASE f.status WHEN 'completed' THEN ARRAY[f.max_tokens, f.overlap_tokens] ELSE f.sizes_before END,"
    " max_tokens = given.max_tokens, overlap_tokens = given.overlap_tokens, epoch = f.epoch + 1, attempts = 0,"
    " leased_until = CASE WHEN f.leased_until IS NOT NULL THEN now() END, batch_id = :batch_id"
    f" FROM {GIVEN} {HERE}"
)
HAND_ON = text(
    "UPDATE vector_store_files AS f SET batch_id = later.id FROM ("
    "SELECT DISTINCT ON (named.file_id) named.file_id, b.id FROM vector_store_file_batches AS b,"
    " unnest(b.file_ids) AS named (file_id) WHERE b.vector_store_id = :store_id AND b.id <> :batch_id"
    " AND NOT b.cancelled AND b.created_at >= :created_at ORDER BY named.file_id, b.created_at) AS later"
    " WHERE f.vector_store_id = :store_id AND f.file_id = later.file_id AND f.batch_id = :batch_id"
    " AND f.status = :status"
)
DESCRIBE = text(
    "UPDATE vector_store_files AS f SET attributes = given.attributes, described_seq = :seq"  # noqa: S608  made of constants
    f" FROM {GIVEN} {HERE}"
)


@dataclass(frozen=True, slots=True)
class Given:
    """A file as it is to be in a store; the attributes are sealed."""

    file_id: str
    attributes: bytes
    max_tokens: int
    overlap_tokens: int


@dataclass(frozen=True, slots=True)
class Whose:
    """The store that files are added to, its owner, and the batch they come in."""

    store_id: str
    organization_id: str
    user_id: str | None
    batch_id: str | None = None


async def lock_adding(session: AsyncSession, store_id: str) -> None:
    """One at a time adds files to a store, until its unit of work ends; whoever asks has locked nothing yet."""
    await session.execute(ONE_ADDER, {"store_id": store_id})


async def held(session: AsyncSession, store_id: str, file_ids: Sequence[str]) -> list[VectorStoreFile]:
    """Which of these the store has, as they are now; nobody else changes them until the unit of work ends."""
    query = select(VectorStoreFile).where(
        VectorStoreFile.vector_store_id == store_id, VectorStoreFile.file_id.in_(file_ids)
    )
    query = query.order_by(VectorStoreFile.file_id).with_for_update().execution_options(populate_existing=True)
    return list(await session.scalars(query))


async def add(session: AsyncSession, whose: Whose, given: Sequence[Given]) -> bool:
    """New files, to be indexed; False where one of them was deleted meanwhile: then nothing can be kept."""
    values = {
        "store_id": whose.store_id,
        "organization_id": whose.organization_id,
        "user_id": whose.user_id,
        "batch_id": whose.batch_id,
    }
    try:
        await session.execute(ADD, values | _arrays(given))
    except IntegrityError:
        return False
    return True


async def again(session: AsyncSession, whose: Whose, given: Sequence[Given]) -> None:
    """Have files indexed anew; who works on them now is too late. A lease that is over says that somebody had begun."""
    await session.execute(AGAIN, {"store_id": whose.store_id, "batch_id": whose.batch_id} | _arrays(given))
    await notify(session, CHANNEL)


async def describe(session: AsyncSession, store_id: str, seq: int, given: Sequence[Given]) -> None:
    """Other attributes, as the change `seq` of the store."""
    await session.execute(DESCRIBE, {"store_id": store_id, "seq": seq} | _arrays(given))


async def get(session: AsyncSession, store_id: str, file_id: str) -> VectorStoreFile | None:
    """One, as it is now."""
    return await session.get(VectorStoreFile, (store_id, file_id), populate_existing=True)


async def page(
    session: AsyncSession, store_id: str, window: Window, *, status: str | None = None, batch_id: str | None = None
) -> tuple[list[VectorStoreFile], bool]:
    """Files of a store by the time they were added, and whether there are more. Errors as `through`."""
    here = VectorStoreFile.vector_store_id == store_id
    query = select(VectorStoreFile).where(here)
    if status is not None:
        query = query.where(VectorStoreFile.status == status)
    if batch_id is not None:
        query = query.where(VectorStoreFile.file_id.in_(files_of_batch(batch_id)))
    columns = (VectorStoreFile.created_at, VectorStoreFile.file_id)
    return await through(session, query, columns, here, window)


async def remove(session: AsyncSession, store_id: str, file_id: str) -> bool:
    """Take a file out, with its chunks; False where it is not in."""
    query = delete(VectorStoreFile).where(
        VectorStoreFile.vector_store_id == store_id, VectorStoreFile.file_id == file_id
    )
    return (await session.scalars(query.returning(VectorStoreFile.file_id))).one_or_none() is not None


async def contents(
    session: AsyncSession, store_id: str, file_id: str, after: int, limit: int
) -> list[tuple[int, bytes]]:
    """Number and content of chunks of a file behind `after`, in order."""
    query = select(Chunk.number, Chunk.content).where(
        Chunk.vector_store_id == store_id, Chunk.file_id == file_id, Chunk.number > after
    )
    rows = await session.execute(query.order_by(Chunk.number).limit(limit))
    return [(row.number, row.content) for row in rows]


async def add_batch(session: AsyncSession, row: VectorStoreFileBatch) -> None:
    """A new batch."""
    session.add(row)
    await session.flush()
    await session.refresh(row)


async def batch(session: AsyncSession, store_id: str, batch_id: str) -> VectorStoreFileBatch | None:
    """A batch of a store."""
    query = select(VectorStoreFileBatch).where(
        VectorStoreFileBatch.id == batch_id, VectorStoreFileBatch.vector_store_id == store_id
    )
    return (await session.scalars(query)).one_or_none()


async def cancel(session: AsyncSession, row: VectorStoreFileBatch) -> None:
    """Leave out what is not indexed yet. Who works on it now is too late, and clears it away (`api.db.ingest`).

    A file that was indexed before, and that nobody has begun to index anew, stays as it was. One that another batch
    had indexed stays what it is, and one that a later batch has too goes on for that.
    """
    here = VectorStoreFile.vector_store_id == row.vector_store_id
    waiting = (here, VectorStoreFile.batch_id == row.id, VectorStoreFile.status == WAITING)
    held = select(VectorStoreFile.file_id).where(*waiting).order_by(VectorStoreFile.file_id).with_for_update()
    await session.execute(held)
    if not row.cancelled:
        row.cancelled = bool((await counts_of_batch(session, row.vector_store_id, row.id)).in_progress)
    ours = {"store_id": row.vector_store_id, "batch_id": row.id, "created_at": row.created_at, "status": WAITING}
    await session.execute(HAND_ON, ours)
    as_before = (VectorStoreFile.chunk_count > 0, VectorStoreFile.leased_until.is_(None))
    sizes = {"max_tokens": VectorStoreFile.sizes_before[1], "overlap_tokens": VectorStoreFile.sizes_before[2]}
    table = update(VectorStoreFile)
    await session.execute(table.where(*waiting, *as_before).values(status="completed", **sizes))
    await session.execute(table.where(*waiting).values(status="cancelled", chunk_count=0, usage_bytes=0))
    await session.flush()


def _arrays(given: Sequence[Given]) -> dict[str, list[object]]:
    return {
        "file_ids": [each.file_id for each in given],
        "attributes": [each.attributes for each in given],
        "max_tokens": [each.max_tokens for each in given],
        "overlap_tokens": [each.overlap_tokens for each in given],
    }
