"""What a backup notes of a database beside its rows' number, and a drill asks again. Knows no backup.

The golden queries: the first rows of every table and the ends of the audit chains, whose answers are known. And what is
read for the other promises: who was erased, and the data keys as they are wrapped.
"""

from dataclasses import dataclass
from typing import Any

from psycopg import sql

from api.db import survey
from api.db.survey import Connection

SAMPLE = 200
PLAIN = "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set bytea_output = 'hex'; set intervalstyle = 'postgres'"
"""So that two servers write the same row alike."""
KEYS = """
    select c.relname, array_agg(a.attname::text order by array_position(i.indkey::int2[], a.attnum))
    from pg_index i join pg_class c on c.oid = i.indrelid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey::int2[])
    where i.indisprimary and c.relnamespace = 'public'::regnamespace and c.relkind = 'r' group by 1
"""
FIRST = """
    select encode(sha256(coalesce(string_agg(sha256(convert_to(t::text, 'UTF8')), '' order by {order}), '')), 'hex')
    from (select * from {table} order by {order} limit {most}) t
"""
ERASED = "select id, organization_id, subject_kind, subject_id, data_key_ids from erasures order by requested_at, id"
WRAPPED = "select id, organization_id, owner_kind, owner_id, master_key_id, wrapped from data_keys order by id"
HEADS = "select organization_id, seq, encode(hash, 'hex') from audit_heads order by 1"


@dataclass(frozen=True)
class WrappedKey:
    """A row of `data_keys`."""

    id: str
    organization_id: str
    owner_kind: str
    owner_id: str
    master_key_id: str
    wrapped: bytes


@dataclass(frozen=True)
class Notes:
    """What is noted at one moment."""

    samples: dict[str, str]
    heads: dict[str, tuple[int, str]]
    erased: list[dict[str, Any]]


def notes(url: str) -> Notes:
    """Everything, in a snapshot of its own.

    Raises:
        Unavailable, ConfigurationError: see `survey.connected`.
    """
    with survey.connected(url) as connection:
        connection.execute("begin transaction isolation level repeatable read read only")
        return noted(connection)


def noted(connection: Connection) -> Notes:
    """Everything, in the transaction that is open."""
    return Notes(samples(connection), heads(connection), erased(connection))


def samples(connection: Connection) -> dict[str, str]:
    """SHA-256 over the first rows of each table that has a primary key, in an order that no server's locale changes."""
    connection.execute(PLAIN)
    found = {}
    for table, columns in connection.execute(KEYS).fetchall():
        order = sql.SQL(", ").join(sql.SQL('{}::text collate "C"').format(sql.Identifier(column)) for column in columns)
        query = sql.SQL(FIRST).format(table=sql.Identifier("public", table), order=order, most=SAMPLE)
        (found[table],) = _one(connection, query)
    return dict(sorted(found.items()))


def heads(connection: Connection) -> dict[str, tuple[int, str]]:
    """Number and hash (hexadecimal) of the last entry of each organization's audit chain."""
    if not _exists(connection, "audit_heads"):
        return {}
    return {name: (seq, digest) for name, seq, digest in connection.execute(HEADS)}


def erased(connection: Connection) -> list[dict[str, Any]]:
    """Every order of erasure, as the ledger has it."""
    if not _exists(connection, "erasures"):
        return []
    names = ("id", "organization_id", "subject_kind", "subject_id", "data_key_ids")
    return [dict(zip(names, row, strict=True)) for row in connection.execute(ERASED)]


def wrapped_keys(connection: Connection) -> list[WrappedKey]:
    """All data keys, as they are wrapped."""
    if not _exists(connection, "data_keys"):
        return []
    return [WrappedKey(*row) for row in connection.execute(WRAPPED)]


def _exists(connection: Connection, table: str) -> bool:
    return _one(connection, sql.SQL("select to_regclass({})").format(f"public.{table}")) != (None,)


def _one(connection: Connection, query: sql.Composed) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row
