"""Queries on the usage ledger."""

from typing import Any

import orjson
from sqlalchemy import JSON, String, bindparam, cast, column, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import UsageRow

_COLUMNS = [column(each.name, each.type) for each in UsageRow.__table__.columns]
_ROWS = (
    func.json_to_recordset(cast(bindparam("rows", type_=String), JSON))
    .table_valued(*_COLUMNS)
    .render_derived(with_types=True)
)
_ADD = (
    insert(UsageRow)
    .from_select([each.name for each in _COLUMNS], select(*_ROWS.columns))  # one parameter, whatever their number
    .on_conflict_do_nothing()
    .execution_options(dml_strategy="raw")
)


async def add_all(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    """Write a batch; rows that are there already stay as they are."""
    if rows:
        await session.execute(_ADD, {"rows": orjson.dumps(rows).decode()})
