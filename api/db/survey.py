"""What a backup writes down about a database and a drill finds again: revision, rows, replication slots.

Asked over short connections of a role that sees every row: of the embedded server its superuser. Knows no backup.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from configs.errors import ConfigurationError, Internal, Unavailable

CONNECT_TIMEOUT_S = 10
TABLES = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind = 'r' order by 1
"""
CHURN = "select relname, n_tup_ins, n_tup_del from pg_stat_user_tables where schemaname = 'public'"
SLOTS = """
    select slot_name, coalesce(wal_status, 'lost') <> 'lost' from pg_replication_slots
    where slot_type = 'physical' and not temporary and starts_with(slot_name, %s) order by 1
"""

JOBS_THERE = "select 1 from pg_roles where rolname = 'manta_jobs'"
HIDDEN = """
    select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relrowsecurity and not exists
    (select from pg_policies p where p.schemaname = 'public' and p.tablename = c.relname and p.permissive = 'PERMISSIVE'
     and p.qual = 'true' and p.cmd in ('ALL', 'SELECT') and p.roles && '{manta_jobs,public}')
"""

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Survey:
    """A database at one moment."""

    revision: str | None
    server: str
    rows: dict[str, int]


def _see_all(connection: Connection) -> None:
    """Become a role that sees every row, or insist that this one does: never back up a part and call it all."""
    powerful = "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
    if connection.execute(powerful).fetchone() == (True,) or not connection.execute(JOBS_THERE).fetchone():
        connection.execute("set row_security = off")
        return
    connection.execute("set role manta_jobs")
    if hidden := connection.execute(HIDDEN).fetchone():
        raise Internal(f"the role manta_jobs does not see every row of {hidden[0]}")


@contextmanager
def connected(url: str, *, every_row: bool = True) -> Iterator[Connection]:
    """A connection that reads every row or fails; what the server refuses is told in our words.

    Raises:
        Unavailable: the database cannot be reached, or broke off.
        ConfigurationError: the role may not see every row.
    """
    try:
        with psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name="manta backup"
        ) as connection:
            if every_row:
                _see_all(connection)
            yield connection
    except psycopg.errors.InsufficientPrivilege as error:
        msg = "the role of DATABASE_URL may not read every row: it must own the tables, or be granted manta_jobs"
        raise ConfigurationError(msg) from error
    except psycopg.OperationalError as error:
        raise Unavailable("The database cannot be reached.") from error


def survey(url: str) -> Survey:
    """Count every table in one snapshot.

    Raises:
        Unavailable, ConfigurationError: see `connected`.
    """
    with connected(url) as connection:
        connection.execute("begin transaction isolation level repeatable read read only")
        return Survey(revision(connection), server_version(connection), counts(connection))


def churn(url: str) -> dict[str, tuple[int, int]]:
    """Rows that were ever added to and removed from each table, as the statistics know (they may lag by seconds)."""
    with connected(url) as connection:
        return {name: (added, removed) for name, added, removed in connection.execute(CHURN)}


def slots(url: str, prefix: str) -> dict[str, bool]:
    """Lasting physical slots whose names begin so, and whether each still keeps what it should."""
    with connected(url) as connection:
        return dict(connection.execute(SLOTS, (prefix,)).fetchall())


def tables(connection: Connection) -> list[str]:
    """The tables of the schema."""
    return [name for (name,) in connection.execute(TABLES)]


def counts(connection: Connection) -> dict[str, int]:
    """Rows by table."""
    found = {}
    for name in tables(connection):
        row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(name))).fetchone()
        assert row is not None
        found[name] = int(row[0])
    return found


def revision(connection: Connection) -> str | None:
    """The schema's revision; None when it was never migrated."""
    if connection.execute("select to_regclass('alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("select version_num from alembic_version").fetchone()
    return str(row[0]) if row else None


def server_version(connection: Connection) -> str:
    """PostgreSQL's version, as 18.4."""
    return str(connection.info.parameter_status("server_version") or "").partition(" ")[0]
