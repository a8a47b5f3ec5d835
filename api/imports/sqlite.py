"""A foreign SQLite file, read only, as if it were hostile: real tables only, each query and each value within limits.

It is opened as immutable, so that nothing is written beside it; what a running program has not merged into it yet would
be missed, so such a file is refused. It does not know what the tables mean.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from api.imports import json_reader
from api.imports.records import Skipped, Unfit
from configs.errors import BadRequest

MAGIC = b"SQLite format 3\0"
LARGEST_VALUE = json_reader.LARGEST_BYTES
PAGE_ROWS = 500
STEPS = 100_000
MOST_STEPS = 2_000
"""Times `STEPS` instructions of SQLite's machine for one query: some ten seconds."""
UNMERGED = ("-wal", "-journal")
ORDINARY = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'create virtual%'"
Row = Mapping[str, Any]


class Reader:
    """The tables of a file."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            BadRequest: it is missing, no SQLite file, damaged, or has changes that stand beside it.
        """
        _refuse_foreign(path)
        self._steps = 0
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            self._connection.text_factory = _text
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
            self._connection.execute("PRAGMA trusted_schema = OFF")
            self._connection.execute("PRAGMA cell_size_check = ON")
            self._connection.set_progress_handler(self._count_steps, STEPS)
            self.tables = {name: self._columns(name) for (name,) in self._rows(ORDINARY)}
        except (sqlite3.Error, Unfit) as error:
            self.close()
            raise BadRequest(f"{str(path)!r} is a damaged or encrypted database") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def each(self, table: str, columns: Sequence[str]) -> Iterator[Row | Skipped]:
        """Every row, in the order of the file; a note for one that cannot be read."""
        last, size = None, PAGE_ROWS
        while True:
            try:
                page = self._page(table, last, size)
            except Unfit as unfit:
                if size > 1:  # go up to the damage in single steps
                    size = 1
                    continue
                yield Skipped("table", table, f"{unfit.why}; the rows after this place were not read")
                return
            for row_id in page:
                try:
                    yield from self.matching(table, columns, "rowid", row_id, most=1)
                except Unfit as unfit:
                    yield Skipped("row", f"{table} {row_id}", unfit.why)
            if len(page) < size:
                return
            last = page[-1]

    def matching(self, table: str, columns: Sequence[str], key: str, value: Any, *, most: int) -> list[Row]:  # noqa: ANN401
        """Rows whose `key` is `value`; none where there is no such table.

        Raises:
            Unfit: they cannot be read, or there are more than `most`.
        """
        has = self.tables.get(table)
        if has is None or (key != "rowid" and key not in has):
            return []
        asked = ", ".join(_quoted(column) if column in has else "NULL" for column in columns)
        key = key if key == "rowid" else _quoted(key)
        statement = f"SELECT {asked} FROM {_quoted(table)} WHERE {key} = ? LIMIT {most + 1}"  # noqa: S608
        rows = self._rows(statement, value)
        if len(rows) > most:
            raise Unfit(f"more than {most:,} rows of {table!r} belong to it")
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def first(self, table: str, columns: Sequence[str], key: str, value: Any) -> Row | None:  # noqa: ANN401
        """The one row whose `key` is `value`. Raises as `matching`."""
        rows = self.matching(table, columns, key, value, most=1)
        return rows[0] if rows else None

    def count(self, table: str) -> int | str:
        """How many rows a table has; `many` when they cannot be counted."""
        try:
            ((count,),) = self._rows(f"SELECT count(*) FROM {_quoted(table)}")  # noqa: S608
        except Unfit:
            return "many"
        return int(count)

    def _page(self, table: str, last: int | None, size: int) -> list[int]:
        after = "WHERE rowid > ?" if last is not None else ""
        values = [last] if last is not None else []
        statement = f"SELECT rowid FROM {_quoted(table)} {after} ORDER BY rowid LIMIT {size}"  # noqa: S608
        return [row_id for (row_id,) in self._rows(statement, *values)]

    def _columns(self, table: str) -> frozenset[str]:
        return frozenset(row[1] for row in self._rows(f"PRAGMA table_info({_quoted(table)})"))

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401
        self._steps = 0
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.DataError as error:
            raise Unfit(json_reader.too_large()) from error
        except sqlite3.OperationalError as error:
            interrupted = error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
            raise Unfit("it takes too long to read" if interrupted else "it cannot be read") from error
        except sqlite3.Error as error:
            raise Unfit("it is damaged") from error

    def _count_steps(self) -> bool:
        self._steps += 1
        return self._steps > MOST_STEPS


def _refuse_foreign(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError as error:
        raise BadRequest(f"{str(path)!r} cannot be read: check the name and who may read it") from error
    if head != MAGIC:
        raise BadRequest(f"{str(path)!r} is no SQLite database, or an encrypted one")
    for ending in UNMERGED:
        beside = path.with_name(path.name + ending)
        if beside.exists() and beside.stat().st_size:
            msg = (
                f"changes to {str(path)!r} stand in {beside.name!r} still: stop the program that writes there, "
                f"and open and close the database once, for example with `sqlite3 {path.name} .tables`"
            )
            raise BadRequest(msg)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")  # what is no UTF-8 stands as half a pair, and is mended or refused


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
