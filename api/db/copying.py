"""A database's rows table by table, for a server whose files are out of reach: read in one snapshot, written in one
transaction into a schema that the migrations made.

While rows are written foreign keys are away, triggers of ours are off and row level security does not bind the owner;
all of that is back, and checked, before the commit. It knows no table by name but Alembic's.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psycopg
from psycopg import sql

from api.db import survey
from api.db.survey import Connection
from configs.errors import ConfigurationError, DamagedBackup

VERSION = "alembic_version"
OPTIONS = sql.SQL("(format text, encoding 'UTF8')")  # readable by any later version of PostgreSQL

COLUMNS = """
    select attname from pg_attribute
    where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum
"""
FOREIGN_KEYS = """
    select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
    where contype = 'f' and connamespace = 'public'::regnamespace order by 1, 2
"""
TRIGGERS = """
    select tgrelid::regclass::text, tgname, tgenabled from pg_trigger
    where not tgisinternal and tgenabled <> 'D'
    and tgrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace) order by 1, 2
"""
FORCED = """
    select relname from pg_class where relnamespace = 'public'::regnamespace and relforcerowsecurity order by 1
"""
SEQUENCES = """
    select s.oid::regclass::text, t.relname, a.attname from pg_class s
    join pg_depend d on d.objid = s.oid and d.deptype in ('a', 'i') and d.classid = 'pg_class'::regclass
    join pg_class t on t.oid = d.refobjid join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
    where s.relkind = 'S' and s.relnamespace = 'public'::regnamespace order by 1
"""
ENABLE = {"O": "enable trigger", "R": "enable replica trigger", "A": "enable always trigger"}


class Reading:
    """Every table as of one moment; inside `survey.connected`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.execute("begin transaction isolation level repeatable read read only")
        self.revision = survey.revision(connection)
        self.server = survey.server_version(connection)
        self.tables = [name for name in survey.tables(connection) if name != VERSION]
        self.rows: dict[str, int] = {}
        """Rows by table, known when the table was read."""

    def rows_of(self, table: str) -> Iterator[memoryview]:
        """A line with the names of the columns, then the rows as COPY writes them."""
        names = [name for (name,) in self._connection.execute(COLUMNS, (_quoted(table),))]
        yield memoryview("\t".join(names).encode() + b"\n")
        statement = sql.SQL("copy {} ({}) to stdout {}").format(_identifier(table), _listed(names), OPTIONS)
        with self._connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for piece in copy:
                    yield memoryview(piece)
            self.rows[table] = cursor.rowcount


def refuse_filled(url: str) -> None:
    """Insist that the database has no table.

    Raises:
        ConfigurationError: it has some.
    """
    with survey.connected(url, every_row=False) as connection:
        if there := survey.tables(connection):
            msg = f"the database is not empty (it has {there[0]!r}): name an empty one in DATABASE_URL"
            raise ConfigurationError(msg)


def write(url: str, tables: Iterable[str], rows_of: Callable[[str], Iterator[bytes]]) -> None:
    """Fill the tables of a freshly migrated schema, all or nothing.

    Raises:
        DamagedBackup: rows do not fit the schema.
        Unavailable, ConfigurationError: see `survey.connected`.
    """
    try:
        with psycopg.connect(url, connect_timeout=survey.CONNECT_TIMEOUT_S) as connection:
            _write(connection, list(tables), rows_of)
    except (psycopg.errors.DataError, psycopg.errors.IntegrityError, psycopg.errors.ProgrammingError) as error:
        words = error.diag.table_name or error.diag.constraint_name or type(error).__name__
        raise DamagedBackup(f"the rows of the backup do not fit its schema ({words})") from error


def _write(connection: Connection, tables: list[str], rows_of: Callable[[str], Iterator[bytes]]) -> None:
    keys = connection.execute(FOREIGN_KEYS).fetchall()
    triggers = connection.execute(TRIGGERS).fetchall()
    forced = [name for (name,) in connection.execute(FORCED)]
    for table, name, _ in keys:
        _alter(connection, table, "drop constraint {}", name)
    for table, name, _ in triggers:
        _alter(connection, table, "disable trigger {}", name)
    for table in forced:
        _alter(connection, _quoted(table), "no force row level security")
    for table in tables:
        connection.execute(sql.SQL("delete from {}").format(_identifier(table)))
        _fill(connection, table, rows_of(table))
    _continue_sequences(connection)
    for table, name, definition in keys:
        _alter(connection, table, f"add constraint {{}} {definition}", name)
    for table, name, enabled in triggers:
        _alter(connection, table, f"{ENABLE[enabled]} {{}}", name)
    for table in forced:
        _alter(connection, _quoted(table), "force row level security")


def _fill(connection: Connection, table: str, pieces: Iterator[bytes]) -> None:
    head = b""
    while b"\n" not in head:
        head += next(pieces, b"\n")
    names, _, rest = head.partition(b"\n")
    columns = names.decode().split("\t")
    statement = sql.SQL("copy {} ({}) from stdin {}").format(_identifier(table), _listed(columns), OPTIONS)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(rest)
        for piece in pieces:
            copy.write(piece)


def _continue_sequences(connection: Connection) -> None:
    """COPY does not move them."""
    for sequence, table, column in connection.execute(SEQUENCES).fetchall():
        last = sql.SQL("select setval(%s, coalesce((select max({}) from {}), 1), exists (select from {}))")
        connection.execute(last.format(sql.Identifier(column), _identifier(table), _identifier(table)), (sequence,))


def _alter(connection: Connection, table: str, change: str, *names: str) -> None:
    """`table` comes quoted from the catalog where that is needed, `change` from this file and the catalog."""
    text: Any = f"alter table {table} {change}"
    connection.execute(sql.SQL(text).format(*map(sql.Identifier, names)))


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier("public", table)


def _quoted(table: str) -> str:
    return _identifier(table).as_string()


def _listed(names: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
