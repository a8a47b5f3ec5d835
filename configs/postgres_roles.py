"""The roles and the database inside the embedded PostgreSQL. Knows no table: those come from the migrations.

| role | may |
|---|---|
| `manta_owner` | owns the database and its schema; runs the migrations |
| `manta_app` | what the migrations grant it; subject to row level security |
| `manta_jobs` | what the migrations grant it: retention, erasure, rotation; sees every tenant |
| `manta_audit` | adds to the audit log, in a function; reads it |
| `manta_backup` | reads the cluster's files and its log by replication; may enter no database |
| `manta_lookup` | no login: owns the two functions that find a key or a login before anybody is known |

None of them is a superuser or may bypass row level security, and nothing is granted on tables by default.
"""

from collections.abc import Mapping
from typing import LiteralString

import psycopg
from psycopg import sql

from configs.postgres_settings import APP, ARCHIVE_SLOT, AUDIT, DATABASE, JOBS, LOOKUP, OWNER, REPLICATING, ROLES

_Server = psycopg.Connection[tuple[object, ...]]
_POWERLESS = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"
_POWERS = {True: sql.SQL(f"{_POWERLESS} REPLICATION"), False: sql.SQL(f"{_POWERLESS} NOREPLICATION")}


def ensure(server: _Server, passwords: Mapping[str, str]) -> None:
    """Create what is missing and set back what differs: roles, passwords, the database and who may enter it.

    Args:
        server: an autocommit connection of the superuser to the database `postgres`.
        passwords: one for each of `ROLES`.
    """
    there = {name for (name,) in server.execute("SELECT rolname FROM pg_roles")}
    for role in ROLES:
        _ensure_role(server, role, passwords[role], exists=role in there)
    if LOOKUP not in there:
        _run(server, "CREATE ROLE {} NOLOGIN", LOOKUP)
    _run(server, "GRANT {}, {} TO {} WITH INHERIT FALSE, SET TRUE", LOOKUP, AUDIT, OWNER)
    if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
        _run(server, "CREATE DATABASE {} OWNER {} TEMPLATE template0", DATABASE, OWNER)
    for database in (DATABASE, "postgres", "template1"):
        _run(server, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
    _run(server, "GRANT CONNECT ON DATABASE {} TO {}, {}, {}", DATABASE, APP, AUDIT, JOBS)


def ensure_schema(database: _Server) -> None:
    """Close `public` to everybody but our roles. `database` is an autocommit connection of the superuser to it."""
    _run(database, "ALTER SCHEMA public OWNER TO {}", OWNER)
    _run(database, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    _run(database, "GRANT USAGE ON SCHEMA public TO {}, {}, {}, {}", APP, AUDIT, JOBS, LOOKUP)


def drop_slots(server: _Server) -> None:
    """Let go of the log that was kept for an archive that is not written any more; `server` as for `ensure`."""
    server.execute(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
        "WHERE slot_type = 'physical' AND NOT active AND starts_with(slot_name, %s)",
        (ARCHIVE_SLOT,),
    )


def _ensure_role(server: _Server, role: str, password: str, *, exists: bool) -> None:
    """The server gets the SCRAM verifier only, so that no log of it can hold the password."""
    if not exists:
        _run(server, "CREATE ROLE {}", role)
    verifier = server.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    alter = sql.SQL("ALTER ROLE {} WITH {} PASSWORD {}")
    server.execute(alter.format(sql.Identifier(role), _POWERS[role in REPLICATING], sql.Literal(verifier)))
    # errors of a session may name values ("invalid input syntax for type uuid: ..."); its client gets them anyway
    _run(server, "ALTER ROLE {} SET log_min_messages = 'log'", role)


def _run(connection: _Server, statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
