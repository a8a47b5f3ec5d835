"""A window of a list that is ordered by a time: what pages behind or before a row are made of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from api.ids import time_of
from configs.errors import BadRequest

Row = TypeVar("Row")
Columns = tuple[SQLColumnExpression[datetime], SQLColumnExpression[str]]
Place = tuple[datetime, str]
"""The time and the id that a row of a list is ordered by."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` rows behind `after`, or the last ones before `before`, in the order that is asked for.

    Who knows the place of the row gives that instead of its id: then the row may be gone.
    """

    limit: int
    after: str | Place | None = None
    before: str | None = None
    newest_first: bool = True


async def through(
    session: AsyncSession,
    query: Select[Row],
    columns: Columns,
    here: ColumnElement[bool],
    window: Window,
    *,
    timed: bool = False,
) -> tuple[list[Row], bool]:
    """The rows in the window, and whether there are more on that side.

    `columns` are what the list is ordered by; the rows that ids name are looked for `here`. Where the time is the one
    that ids tell (`timed`, `api.ids`), the place of a row is known when it is gone.

    Raises:
        BadRequest: `after` or `before` names no row, and where the list would go on is not known.
    """
    place: SQLColumnExpression[Any] = tuple_(*columns)
    down, backwards = window.newest_first, window.before is not None and window.after is None
    known = select(*columns).where(here)
    if window.after is not None:
        mark = await _place(session, known, columns[1], window.after) or _told(window.after, "after", timed=timed)
        query = query.where(place < mark if down else place > mark)
    if window.before is not None:
        mark = await _place(session, known, columns[1], window.before) or _told(window.before, "before", timed=timed)
        query = query.where(place > mark if down else place < mark)
    falling = down != backwards
    query = query.order_by(*(column.desc() if falling else column.asc() for column in columns))
    found = list(await session.scalars(query.limit(window.limit + 1)))
    rows = found[: window.limit]
    return (rows[::-1] if backwards else rows), len(found) > window.limit


def gone(param: str) -> BadRequest:
    """What is said where a page is to begin at a row that is not there."""
    text = f"`{param}` names nothing in this list, or it was deleted meanwhile: begin anew without it. "
    return BadRequest(text + "Who deletes what a list has reads all of the list first.", param=param)


async def _place(
    session: AsyncSession, known: Select[datetime, str], column: SQLColumnExpression[str], mark: str | Place
) -> Place | None:
    if not isinstance(mark, str):
        return mark
    found = (await session.execute(known.where(column == mark))).one_or_none()
    return None if found is None else (found[0], found[1])


def _told(mark: str | Place, param: str, *, timed: bool) -> Place:
    """The place of a row that is gone."""
    at = time_of(mark) if timed and isinstance(mark, str) else None
    if at is None:
        raise gone(param)
    return at, str(mark)
