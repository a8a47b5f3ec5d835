"""A window of a list that is ordered by the time things were made: what pages behind or before an id are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ScalarSelect, Select, SQLColumnExpression, func
from sqlalchemy.ext.asyncio import AsyncSession

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` rows behind `after`, or the last ones before `before`, in the order that is asked for."""

    limit: int
    after: str | None = None
    before: str | None = None
    newest_first: bool = True


async def through(
    session: AsyncSession,
    query: Select[Row],
    columns: tuple[SQLColumnExpression[Any], SQLColumnExpression[Any]],
    mark: Callable[[str], ScalarSelect[Any]],
    window: Window,
) -> tuple[list[Row], bool]:
    """The rows in the window, and whether there are more on that side.

    `columns` are the time and the id that the list is ordered by, `mark` the two of the row with an id.
    """
    place = func.row(*columns)
    down, backwards = window.newest_first, window.before is not None and window.after is None
    if window.after is not None:
        query = query.where(place < mark(window.after) if down else place > mark(window.after))
    if window.before is not None:
        query = query.where(place > mark(window.before) if down else place < mark(window.before))
    falling = down != backwards
    query = query.order_by(*(column.desc() if falling else column.asc() for column in columns))
    found = list(await session.scalars(query.limit(window.limit + 1)))
    rows = found[: window.limit]
    return (rows[::-1] if backwards else rows), len(found) > window.limit
