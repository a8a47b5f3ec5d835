"""Queries on the usage ledger."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import UsageRow


async def add_all(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    """Write a batch; rows that are there already stay as they are."""
    if rows:
        await session.execute(insert(UsageRow).on_conflict_do_nothing(), rows)
