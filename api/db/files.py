"""Queries on files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.privacy import BATCH
from api.db.tables import File, FileTotal, VectorStore, VectorStoreFile
from api.db.windows import Window, through

LOCK = text("select pg_advisory_xact_lock(hashtextextended('manta files ' || :organization_id, 0))")


@dataclass(frozen=True, slots=True)
class Listing:
    """Whose files (without a person: those of the organization's keys), and which."""

    organization_id: str
    user_id: str | None
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class SealedName:
    """The name of a file, and what opens it."""

    file_id: str
    organization_id: str
    data_key_id: str
    name: bytes


def _owned(organization_id: str, user_id: str | None) -> ColumnElement[bool]:
    return and_(File.organization_id == organization_id, File.user_id.is_not_distinct_from(user_id))


def _living() -> ColumnElement[bool]:
    return or_(File.expires_at.is_(None), File.expires_at > func.now())


async def lock(session: AsyncSession, organization_id: str) -> None:
    """One at a time adds or removes files of an organization, until its unit of work ends."""
    await session.execute(LOCK, {"organization_id": organization_id})


async def add(session: AsyncSession, row: File) -> None:
    """A new one."""
    session.add(row)
    await session.flush()
    await session.refresh(row)


async def page(session: AsyncSession, asked: Listing, window: Window) -> tuple[list[File], bool]:
    """Living ones by the time they were made, and whether there are more. Errors as `through`."""
    here = _owned(asked.organization_id, asked.user_id)
    query = select(File).where(here, _living())
    if asked.purpose is not None:
        query = query.where(File.purpose == asked.purpose)
    return await through(session, query, (File.created_at, File.id), here, window, timed=True)


async def get(session: AsyncSession, file_id: str) -> File | None:
    """A living one that this unit of work may see."""
    return (await session.scalars(select(File).where(File.id == file_id, _living()))).one_or_none()


async def living(session: AsyncSession, file_ids: Sequence[str]) -> set[str]:
    """Which of these are there, for this unit of work."""
    return set(await session.scalars(select(File.id).where(File.id.in_(file_ids), _living())))


async def same(session: AsyncSession, organization_id: str, data_key_id: str, digest: bytes) -> str | None:
    """The blob of a living file of the same owner with the same content."""
    same_content = (File.organization_id == organization_id, File.digest == digest, File.data_key_id == data_key_id)
    query = select(File.blob).where(*same_content, _living())
    return (await session.scalars(query.limit(1))).one_or_none()


async def stored(session: AsyncSession, organization_id: str, user_id: str | None) -> tuple[int, int]:
    """Bytes of the owner's files, and of all the organization's."""
    of_owner = (FileTotal.organization_id == organization_id, FileTotal.owner_id == (user_id or ""))
    own = select(FileTotal.bytes).where(*of_owner).scalar_subquery()
    owner, everybody = (await session.execute(select(own, func.stored_bytes(organization_id)))).one()
    return int(owner or 0), int(everybody)


async def remove(session: AsyncSession, file_id: str) -> str | None:
    """Remove one; its blob when no other file needs it. The caller holds the lock."""
    await _hold(session, [file_id])
    blob = (await session.scalars(delete(File).where(File.id == file_id).returning(File.blob))).one_or_none()
    if blob is None or await session.scalar(select(File.id).where(File.blob == blob).limit(1)) is not None:
        return None
    return blob


async def remove_of_user(session: AsyncSession, user_id: str) -> list[str]:
    """Remove one batch of a person's files everywhere; their blobs."""
    return await _remove_some(session, File.user_id == user_id)


async def remove_of_organization(session: AsyncSession, organization_id: str) -> list[str]:
    """Remove one batch of an organization's files; their blobs."""
    return await _remove_some(session, File.organization_id == organization_id)


async def remove_expired(session: AsyncSession, before: datetime) -> int:
    """Remove one batch of files whose time was over before that; how many."""
    return len(await _remove_some(session, File.expires_at <= before))


async def _hold(session: AsyncSession, file_ids: Sequence[str]) -> None:
    """Have the places of these files in vector stores to oneself until the unit of work ends.

    They go with the files, and change the stores. All who change stores take rows in this order (`api.db.ingest`); the
    stores' keys stay free, for whoever adds a batch refers to one before it asks for files.
    """
    store_id, here = VectorStoreFile.vector_store_id, VectorStoreFile.file_id.in_(file_ids)
    rows = select(store_id).where(here).order_by(store_id, VectorStoreFile.file_id).with_for_update()
    stores = set(await session.scalars(rows))
    query = select(VectorStore.id).where(VectorStore.id.in_(stores)).order_by(VectorStore.id)
    await session.execute(query.with_for_update(key_share=True))


async def _remove_some(session: AsyncSession, which: ColumnElement[bool]) -> list[str]:
    batch = list(await session.scalars(select(File.id).where(which).limit(BATCH)))
    await _hold(session, batch)
    return list(await session.scalars(delete(File).where(File.id.in_(batch)).returning(File.blob)))


async def known(session: AsyncSession, blobs: Sequence[str]) -> set[str]:
    """Which of these blobs some file needs."""
    return set(await session.scalars(select(File.blob).where(File.blob.in_(blobs))))
