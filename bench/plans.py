"""What the database does for each question at 1,000,000 messages and 10,000,000 usage rows: plans and times.

The statements are those of `api.db`, heard as they are sent. It fails when a request's walks a large table. A
job's may: it runs by the hour, and an index would cost every message.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from api.db import conversations, idempotency, keys, logins, privacy, schema
from api.db import usage as usage_queries
from api.db.session import JOBS_ROLE, Database, Unit
from api.db.windows import Window
from api.ids import new_id
from api.scope import Scope
from bench.explain import heard, plans, walked
from bench.identity import GROW
from bench.options import Options
from bench.report import Report, Table, number
from bench.stacks import open_folder
from configs.datadir import Layout
from configs.postgres import EmbeddedPostgres

SCOPE = Scope("default", "user_7")
CONVERSATION, MESSAGE = "conv_7_3", "msg_7_3_5"
ROUNDS = 20
LARGE = 10_000
"""Rows from which on walking a table is a mistake."""
USAGE = """
INSERT INTO usage (id, organization_id, user_id, model, route, status, prompt_tokens, completion_tokens, cached_tokens,
    duration_ms, created_at)
    SELECT 'use_' || n, 'default', 'user_' || (n % :people + 1), 'm', 'r', 200, 1, 1, 0, 1,
        now() - n * interval '1 second'
    FROM generate_series(1, :rows) n;
INSERT INTO api_keys (id, organization_id, user_id, name, digest, prefix, permissions)
    SELECT 'key_' || n, 'default', 'user_' || (n % :people + 1), 'k', sha256(n::text::bytea), 'sk-', '{}'
    FROM generate_series(1, 100000) n;
"""
Question = Callable[[Unit], Awaitable[Any]]


def usage_row() -> dict[str, Any]:
    """What an outbox sends."""
    counts = dict.fromkeys(("prompt_tokens", "completion_tokens", "cached_tokens", "duration_ms"), 1)
    names = {"id": new_id("use"), "organization_id": "default", "user_id": "user_7", "api_key_id": None}
    return {**names, **counts, "model": "m", "route": "r", "status": 200, "created_at": datetime.now(UTC)}


async def whole_usage(unit: Unit) -> int:
    """A person's rows, as an export reads them."""
    return sum([1 async for _ in privacy.usage(unit, "default", "user_7")])


def questions() -> dict[str, Question]:
    """What is asked on requests' paths."""
    listing = conversations.Listing("default", "user_7")
    return {
        "a page of conversations": lambda unit: conversations.page(unit, listing, Window(20)),
        "the next page": lambda unit: conversations.page(unit, listing, Window(20, "conv_7_20")),
        "one conversation": lambda unit: conversations.get(unit, CONVERSATION, for_update=True),
        "a page of messages": lambda unit: conversations.messages(unit, CONVERSATION, limit=6, after=MESSAGE),
        "one message": lambda unit: conversations.message(unit, CONVERSATION, MESSAGE),
        "the place of a new message": lambda unit: conversations.next_place(unit, CONVERSATION, None),
        "the newest message": lambda unit: conversations.newest(unit, CONVERSATION),
        "a key by its digest": lambda unit: keys.find(unit, b"x" * 32),
        "a person's keys": lambda unit: keys.all_living(unit, "default", "user_7"),
        "a person by id": lambda unit: logins.find(unit, "user", "user_7"),
        "an Idempotency-Key": lambda unit: idempotency.get(unit, "default", b"x" * 32),
        "a usage row is added": lambda unit: usage_queries.add_all(unit, [usage_row()]),
        "a person's usage, whole": whole_usage,
    }


def jobs() -> dict[str, Question]:
    """What retention and erasure ask, as the role that may."""
    old = datetime.now(UTC) - timedelta(days=10_000)
    return {
        "usage past its retention": lambda unit: privacy.remove_old_usage(unit, "default", old),
        "conversations past theirs": lambda unit: privacy.remove_old_conversations(unit, "default", None, [], old),
    }


def run(options: Options) -> Report:
    """Fill, ask, explain."""
    people, usage = (20, 20_000) if options.short else (2000, 10_000_000)
    with open_folder() as folder:
        layout = Layout(folder / "data")
        with layout.hold(command="bench plans"), EmbeddedPostgres(layout) as server, asyncio.Runner() as runner:
            schema.upgrade(server.urls.owner_url)
            filled_s = fill(server, people, usage)
            app = Database(server.urls.app_url, deadline_s=None)
            cleaner = Database(server.urls.jobs_url, role=JOBS_ROLE, deadline_s=None)
            every = [(app, *each) for each in questions().items()] + [(cleaner, *each) for each in jobs().items()]
            large = {name for name, rows in sizes(server) if rows >= LARGE}
            rows, data, failed = [], {}, False
            for database, name, question in every:
                took_ms, plan = runner.run(asked(database, question))
                crossed = sorted({table for each in plan.values() for table in walked(each)} & large)
                failed = failed or bool(crossed and database is app)
                rows.append([name, number(took_ms, 2), ", ".join(crossed) or "none"])
                data[name] = {"ms": took_ms, "plans": plan}
            for each in (app, cleaner):
                runner.run(each.close())
    notes = [
        f"{people * 500:,} messages of {people:,} people, {usage:,} usage rows, 100,000 keys;"
        f" filled in {filled_s:.0f} s.",
        f"Time: the unit of work as a whole (begin, scope, question, rollback or commit), median of {ROUNDS}.",
    ]
    table = Table(["question", "ms", "tables walked from end to end"], rows)
    return Report("plans", "Plans and times of a large database", [table], notes, data, failed)


def fill(server: EmbeddedPostgres, people: int, usage: int) -> float:
    """Rows of others; seconds that it took."""
    start = time.perf_counter()
    with server._connect("manta") as connection:
        connection.execute("SET session_replication_role = replica")
        statement = (GROW + USAGE).replace(":people", str(people)).replace(":rows", str(usage))
        connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")
    return time.perf_counter() - start


def sizes(server: EmbeddedPostgres) -> list[tuple[str, float]]:
    """Tables with their rows."""
    with server._connect("manta") as connection:
        return list(connection.execute("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'").fetchall())


async def asked(database: Database, question: Question) -> tuple[float, dict[str, dict[str, Any]]]:
    """The median of its milliseconds, and the plans of its statements."""
    took = []
    with heard(database) as seen:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            async with database.unit(SCOPE) as unit:
                await question(unit)
            took.append(1000 * (time.perf_counter() - start))
    own = [each for each in seen if "set_config" not in each[0]]
    return statistics.median(took), await plans(database, own, SCOPE)
