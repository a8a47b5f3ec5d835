"""Queries on data keys and on the master keys that wrap them. It sees wrapped keys only."""

from collections.abc import Sequence

from sqlalchemy import delete as delete_from
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.notifications import notify
from api.db.tables import DataKey, MasterKeyCheck

CHANNEL = "manta_data_keys"
"""Told when a data key was destroyed."""


async def find(session: AsyncSession, organization_id: str, kind: str, owner_id: str) -> DataKey | None:
    """The data key of an owner in an organization, if this unit of work may see it."""
    query = select(DataKey).where(
        DataKey.organization_id == organization_id, DataKey.owner_kind == kind, DataKey.owner_id == owner_id
    )
    return (await session.scalars(query)).one_or_none()


async def get(session: AsyncSession, key_id: str) -> DataKey | None:
    """The data key of that id, if this unit of work may see it."""
    return (await session.scalars(select(DataKey).where(DataKey.id == key_id))).one_or_none()


async def add(session: AsyncSession, row: DataKey) -> bool:
    """Insert; False when the owner has a key already, also one that another unit of work was just adding."""
    columns = ("id", "organization_id", "owner_kind", "owner_id", "master_key_id", "wrapped")
    values = {column: getattr(row, column) for column in columns}
    query = insert(DataKey).values(values).on_conflict_do_nothing().returning(DataKey.id)
    return (await session.scalars(query)).one_or_none() is not None


async def delete(session: AsyncSession, organization_id: str, kind: str, owner_id: str) -> list[str]:
    """Destroy an owner's key and tell every process to forget it; its id, for the record of the erasure."""
    query = (
        delete_from(DataKey)
        .where(DataKey.organization_id == organization_id, DataKey.owner_kind == kind, DataKey.owner_id == owner_id)
        .returning(DataKey.id)
    )
    gone = list(await session.scalars(query))
    if gone:
        await notify(session, CHANNEL)
    return gone


async def not_under(session: AsyncSession, master_id: str, after: str, limit: int) -> list[DataKey]:
    """Data keys that another master key than this one wraps, locked, by id from `after` on."""
    query = (
        select(DataKey)
        .where(DataKey.master_key_id != master_id, DataKey.id > after)
        .order_by(DataKey.id)
        .limit(limit)
        .with_for_update()
    )
    return list(await session.scalars(query))


async def rewrap(session: AsyncSession, key_id: str, master_id: str, wrapped: bytes) -> None:
    """The same key under another master key."""
    await session.execute(
        update(DataKey).where(DataKey.id == key_id).values(master_key_id=master_id, wrapped=wrapped),
        execution_options={"synchronize_session": False},
    )


async def users_of_masters(session: AsyncSession) -> dict[str, int]:
    """How many data keys each master key wraps, of those that this unit of work may see."""
    query = select(DataKey.master_key_id, func.count()).group_by(DataKey.master_key_id)
    return {row[0]: row[1] for row in await session.execute(query)}


async def needed_masters(session: AsyncSession) -> list[str]:
    """The master keys without which something could not be read."""
    return sorted(await session.scalars(select(DataKey.master_key_id).distinct()))


async def hold_still(session: AsyncSession) -> None:
    """Nobody adds a data key until this unit of work ends; those that were being added are in."""
    await session.execute(text("LOCK TABLE data_keys IN SHARE ROW EXCLUSIVE MODE"))


async def check_values(session: AsyncSession) -> dict[str, bytes]:
    """The known master keys with their check values."""
    query = select(MasterKeyCheck.id, MasterKeyCheck.check_value)
    return {row[0]: row[1] for row in await session.execute(query)}


async def add_checks(session: AsyncSession, values: dict[str, bytes]) -> None:
    """Make master keys known; those that are stay as they are."""
    rows = [{"id": master, "check_value": value} for master, value in values.items()]
    await session.execute(insert(MasterKeyCheck).values(rows).on_conflict_do_nothing())


async def forget_masters(session: AsyncSession, ids: Sequence[str]) -> None:
    """Forget master keys that wrap nothing."""
    await session.execute(delete_from(MasterKeyCheck).where(MasterKeyCheck.id.in_(ids)))
