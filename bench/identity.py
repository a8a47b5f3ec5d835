"""What knowing people costs: a key check among 10 and 10,000 keys, its memory, a list among a million messages.

The key check is `Doorkeeper.admit` as a request meets it, with keys that were seen before. The list is what
`GET /api/conversations` asks the database, for a person with 50 conversations, in a table of 1,000 and of 1,000,000.
"""

import asyncio
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from api.db import conversations, keys, schema
from api.db.session import Database
from api.db.windows import Window
from api.doorkeeper import Doorkeeper
from api.identity.claims import Claims
from api.keys import NewKey, make_key
from api.principal import Permission
from api.scope import INSTALLATION, Scope
from bench.options import Options
from bench.ratios import interleaved, median_with_interval
from bench.report import Report, Table, interval, number
from bench.stacks import open_folder
from configs.datadir import Layout
from configs.postgres import EmbeddedPostgres

FEW, MANY = 10, 10_000
CHECKS = 20_000
LISTS = 300
SCOPE = Scope("default", "user_bench")
GROW = """
INSERT INTO users (id) SELECT 'user_' || n FROM generate_series(1, :people) n ON CONFLICT DO NOTHING;
INSERT INTO conversations (id, organization_id, user_id, data_key_id, title, updated_at)
    SELECT 'conv_' || n || '_' || c, 'default', 'user_' || n, 'dk', 'x', now() - (n * 50 + c) * interval '1 second'
    FROM generate_series(1, :people) n, generate_series(1, 50) c ON CONFLICT DO NOTHING;
INSERT INTO messages (id, organization_id, conversation_id, seq, branch, role, data_key_id, content)
    SELECT 'msg_' || n || '_' || c || '_' || s, 'default', 'conv_' || n || '_' || c, s, 0, 'user', 'dk', 'x'
    FROM generate_series(1, :people) n, generate_series(1, 50) c, generate_series(1, 10) s ON CONFLICT DO NOTHING;
"""
OWN = """
INSERT INTO users (id) VALUES ('user_bench');
INSERT INTO conversations (id, organization_id, user_id, data_key_id, title, updated_at)
    SELECT 'conv_own_' || c, 'default', 'user_bench', 'dk', 'x', now() - c * interval '1 minute'
    FROM generate_series(1, 50) c;
INSERT INTO messages (id, organization_id, conversation_id, seq, branch, role, data_key_id, content)
    SELECT 'msg_own_' || c || '_' || s, 'default', 'conv_own_' || c, s, 0, 'user', 'dk', 'x'
    FROM generate_series(1, 50) c, generate_series(1, 20) s;
"""


class NoTokens:
    """Nobody signs in here."""

    def read(self, token: bytes) -> Claims:
        """No token is read."""
        raise NotImplementedError


def scope_of(key: NewKey) -> dict[str, Any]:
    """A request with a key."""
    return {"headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {key.key}".encode())]}


async def make_keys(database: Database, count: int) -> list[NewKey]:
    """New keys that the database knows."""
    made = [make_key() for _ in range(count)]
    for start in range(0, count, 200):
        async with database.unit(INSTALLATION) as unit:
            for key in made[start : start + 200]:
                await keys.add(unit, key, organization_id="default", name="bench", permissions=["inference"])
    return made


async def known(database: Database, count: int) -> tuple[Doorkeeper, list[dict[str, Any]]]:
    """A doorkeeper that has seen `count` keys."""
    made = await make_keys(database, count)
    doorkeeper, scopes = Doorkeeper(database, NoTokens()), [scope_of(key) for key in made]
    for scope in scopes:
        await doorkeeper.admit(scope, Permission.INFERENCE)
    return doorkeeper, scopes


def checks(runner: asyncio.Runner, doorkeeper: Doorkeeper, scopes: list[dict[str, Any]]) -> Callable[[], None]:
    """Admit in turn. The keys were seen within the minute in which memory answers."""

    async def admit() -> None:
        for number_ in range(CHECKS):
            await doorkeeper.admit(scopes[number_ % len(scopes)], Permission.INFERENCE)

    return lambda: runner.run(admit())


async def bytes_per_key(database: Database) -> float:
    """Memory that 2,000 further keys take in a doorkeeper."""
    _, scopes = await known(database, 2000)
    doorkeeper = Doorkeeper(database, NoTokens())
    await doorkeeper.admit(scopes[0], Permission.INFERENCE)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for scope in scopes[1:]:
        await doorkeeper.admit(scope, Permission.INFERENCE)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / (len(scopes) - 1)


def lists(runner: asyncio.Runner, database: Database) -> Callable[[], None]:
    """A person's list, page after page of 20."""
    listing = conversations.Listing("default", "user_bench")

    async def ask() -> None:
        for _ in range(LISTS):
            async with database.unit(SCOPE) as unit:
                rows, more = await conversations.page(unit, listing, Window(20))
                assert (more, len(rows)) == (True, 20)

    return lambda: runner.run(ask())


def fill(server: EmbeddedPostgres, people: int) -> None:
    """`people` times 500 messages of others, and the person's own."""
    with server._connect("manta") as connection:
        connection.execute((OWN + GROW.replace(":people", str(people))).encode())
        connection.execute("VACUUM ANALYZE")


def run(options: Options) -> Report:
    """Everything."""
    pairs, people = (2, 20) if options.short else (8, 2000)
    with open_folder() as folder:
        small, large = Layout(folder / "small"), Layout(folder / "large")
        with (
            small.hold(command="bench identity"),
            large.hold(command="bench identity"),
            EmbeddedPostgres(small) as few_rows,
            EmbeddedPostgres(large) as many_rows,
            asyncio.Runner() as runner,
        ):
            for server, others in ((few_rows, 0), (many_rows, people)):
                schema.upgrade(server.urls.owner_url)
                fill(server, others)
            database, big = Database(few_rows.urls.app_url), Database(many_rows.urls.app_url)
            listed = interleaved(lists(runner, database), lists(runner, big), pairs)
            memory = runner.run(bytes_per_key(database))
            few = runner.run(known(database, FEW))
            many = runner.run(known(database, MANY if not options.short else 100))
            began = time.monotonic()
            checked = interleaved(checks(runner, *few), checks(runner, *many), pairs)
            if time.monotonic() - began > 50:
                sys.stderr.write("the checks took longer than keys are remembered: the database was asked\n")
            for each in (database, big):
                runner.run(each.close())
    return reported(checked, listed, memory, people * 500)


def reported(checked: list[Any], listed: list[Any], memory: float, messages: int) -> Report:
    """The section."""
    keys_ratio = median_with_interval([a.wall_s / b.wall_s for a, b in checked])
    list_ratio = median_with_interval([b.wall_s / a.wall_s for a, b in listed])
    check_us = sorted(1e6 * a.wall_s / CHECKS for a, _ in checked)[len(checked) // 2]
    list_ms = sorted(1e3 * a.wall_s / LISTS for a, _ in listed)[len(listed) // 2]
    rows = [
        ["a key check, microseconds", number(check_us, 2), ""],
        [f"checks per second, {MANY:,} keys / {FEW} (of answers: `door`)", interval(keys_ratio), ""],
        ["bytes per known key", number(memory, 0), "<= 2048"],
        ["a page of 20 conversations, ms", number(list_ms, 2), ""],
        [f"its time, {messages:,} messages / 1,000", interval(list_ratio), "<= 1.2"],
    ]
    table = Table(["what", "measured", "reach"], rows)
    return Report("identity", "Knowing people", [table], data={"rows": rows})
