"""What PostgreSQL does for the statements that a piece of work sends: which tables it walks from end to end.

It knows no statement: it listens to an engine, and asks for the plan of each that it heard.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from api.db.session import Database
from api.scope import Scope

Heard = list[tuple[str, Any]]
ASKED = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")


@contextmanager
def heard(database: Database) -> Iterator[Heard]:
    """Everything that is sent, with its parameters."""
    seen: Heard = []
    engine = database._engine.sync_engine

    def note(*told: Any) -> None:  # noqa: ANN401  a connection, a cursor, then these two
        seen.append((told[2], told[3]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def walked(plan: dict[str, Any]) -> Iterator[str]:
    """Tables that a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for below in plan.get("Plans", []):
        yield from walked(below)


async def plans(database: Database, seen: Heard, scope: Scope) -> dict[str, dict[str, Any]]:
    """The plan of each kind of statement, asked for on behalf of `scope`; nothing is changed."""
    found: dict[str, dict[str, Any]] = {}
    for statement, parameters in seen:
        if statement.split()[0].upper() not in ASKED or statement in found:
            continue
        async with database._engine.connect() as connection:
            await connection.exec_driver_sql(
                "SELECT set_config('manta.org', %(o)s, true), set_config('manta.user', %(u)s, true)",
                {"o": scope.organization_id, "u": scope.user_id},
            )
            result = await connection.exec_driver_sql("EXPLAIN (FORMAT JSON) " + statement, parameters)
            told = result.scalar_one()
            await connection.rollback()
        found[statement] = (told if isinstance(told, list) else json.loads(told))[0]["Plan"]
    return found
