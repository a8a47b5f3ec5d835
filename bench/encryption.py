"""Messages of 2 KB written with and without encryption in the application, through the same sessions and tables.

One client, a real PostgreSQL with its usual fsync. Both legs insert the same rows in transactions of the same size; one
of them seals each text under its person's data key, as `api.conversations` does.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import psutil

from api.db import schema
from api.db.session import JOBS_ROLE, Database
from api.db.tables import Conversation, Message, User
from api.ids import new_id
from api.scope import DEFAULT_ORGANIZATION, Scope
from api.vault.keys import DataKey, Owner
from api.vault.vault import Vault
from bench.options import Options
from bench.ratios import Cost, interleaved, median_with_interval
from bench.report import Report, Table, interval, number
from bench.stacks import open_folder
from configs.datadir import Layout
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from configs.seal import aad_of, seal

TEXT_BYTES = 2048
SIZES = (1, 10, 100)
"""Messages in a transaction; a turn of a chat stores one or two."""
PERSON = "user_bench"
SCOPE = Scope(DEFAULT_ORGANIZATION, PERSON)
OWNER = Owner("user", PERSON, DEFAULT_ORGANIZATION)
WRITTEN = """
the of and to in a is that it for as with on be by this are or an from at which have not can each will their about
model answer question document search number between system because without example another value
"""
WORDS = WRITTEN.split()
HEADERS = ["messages per transaction", "plain messages/s", "sealed", "sealed / plain", "CPU, sealed / plain", "us more"]


@dataclass
class Bench:
    """A database with one person and one conversation, and the legs on it."""

    server: EmbeddedPostgres
    database: Database
    vault: Vault
    runner: asyncio.Runner
    seq: int = 0
    choose: random.Random = field(default_factory=lambda: random.Random(0))
    postgres: list[float] = field(default_factory=list)
    """CPU seconds of the server's processes, leg by leg."""

    def prepare(self) -> None:
        """The rows that messages belong to."""
        self.runner.run(self._prepare())

    async def _prepare(self) -> None:
        jobs = Database(self.server.urls.jobs_url, role=JOBS_ROLE, pool_size=1)
        async with jobs.unit() as unit:
            unit.add(User(id=PERSON))
            await unit.flush()
            unit.add(
                Conversation(
                    id="conv_bench", organization_id=DEFAULT_ORGANIZATION, user_id=PERSON, data_key_id="dk", title=b"x"
                )
            )
        await jobs.close()

    def leg(self, messages: int, size: int, *, sealed: bool) -> Callable[[], None]:
        """Write `messages` in transactions of `size`."""

        def write() -> None:
            before = self.server_cpu_s()
            self.runner.run(self._write(messages, size, sealed=sealed))
            self.postgres.append(self.server_cpu_s() - before)

        return write

    async def _write(self, messages: int, size: int, *, sealed: bool) -> None:
        for _ in range(messages // size):
            async with self.database.unit(SCOPE) as unit:
                key = await self.vault.key_for(unit, OWNER) if sealed else None
                unit.add_all([self._row(key) for _ in range(size)])

    def _row(self, key: DataKey | None) -> Message:
        self.seq += 1
        row_id, content = new_id("msg"), self._content()
        if key is not None:
            content = seal(key.key, content, aad_of("messages", row_id, "content", DEFAULT_ORGANIZATION))
        return Message(
            id=row_id,
            organization_id=DEFAULT_ORGANIZATION,
            conversation_id="conv_bench",
            seq=self.seq,
            branch=0,
            role="user",
            data_key_id=key.id if key else "none",
            content=content,
        )

    def _content(self) -> bytes:
        words = " ".join(self.choose.choices(WORDS, k=TEXT_BYTES // 4))
        return orjson.dumps({"text": words[: TEXT_BYTES - len('{"text":""}')]})

    def server_cpu_s(self) -> float:
        """CPU seconds of PostgreSQL so far; the pool's connection lives through all legs."""
        assert self.server.child is not None
        main = psutil.Process(self.server.child.pid)
        return sum(sum(each.cpu_times()[:2]) for each in (main, *main.children()))


def compare(bench: Bench, messages: int, size: int, pairs: int) -> dict[str, Any]:
    """One size of transaction."""
    plain, sealed = bench.leg(messages, size, sealed=False), bench.leg(messages, size, sealed=True)
    for leg in (plain, sealed):
        leg()
    bench.postgres.clear()
    costs = interleaved(plain, sealed, pairs)
    server = [sorted_pair(bench.postgres, pair) for pair in range(pairs)]
    cpu = [(a.cpu_s + own_a, b.cpu_s + own_b) for (a, b), (own_a, own_b) in zip(costs, server, strict=True)]
    return {
        "size": size,
        "messages": messages,
        "plain_per_s": middle([messages / a.wall_s for a, _ in costs]),
        "sealed_per_s": middle([messages / b.wall_s for _, b in costs]),
        "throughput": median_with_interval([a.wall_s / b.wall_s for a, b in costs]),
        "cpu": median_with_interval([b / a for a, b in cpu]),
        "more_us": middle([1e6 * (b.cpu_s - a.cpu_s) / messages for a, b in costs]),
        "client_cpu_s": [[cost_of(a), cost_of(b)] for a, b in costs],
        "server_cpu_s": server,
    }


def sorted_pair(legs: list[float], pair: int) -> tuple[float, float]:
    """A pair's two figures as (plain, sealed), whichever ran first."""
    first, second = legs[2 * pair : 2 * pair + 2]
    return (second, first) if pair % 2 else (first, second)


def cost_of(cost: Cost) -> float:
    return round(cost.cpu_s, 4)


def middle(values: list[float]) -> float:
    return median_with_interval(values)[0]


def run(options: Options) -> Report:
    """Every size of transaction."""
    found = []
    with open_folder() as folder:
        layout = Layout(folder / "data")
        with layout.hold(command="bench encryption"), EmbeddedPostgres(layout) as server, asyncio.Runner() as runner:
            server.wait_ready()
            schema.upgrade(server.urls.owner_url)
            database = Database(server.urls.app_url, pool_size=1)
            bench = Bench(server, database, Vault(Keyring.make(layout.master_keys)), runner)
            bench.prepare()
            for size in SIZES:
                messages = options.pick(400 if size == 1 else 2000, 200)
                found.append(compare(bench, messages, size, options.pick(12, 2)))
            runner.run(database.close())
    notes = [
        f"Texts of {TEXT_BYTES} bytes out of {len(WORDS)} words. PostgreSQL compresses the plain ones; sealed ones are "
        "noise and too long for a row, so they lie beside the table.",
        "Reach: sealed / plain at least 0.9 in throughput. CPU: client and PostgreSQL; us more: the client's.",
    ]
    return Report(
        "encryption", "Encryption in the application, on / off", [Table(HEADERS, list(map(row, found)))], notes,
        {"rows": found},
    )  # fmt: skip


def row(found: dict[str, Any]) -> list[str]:
    """One line of the table."""
    return [
        str(found["size"]),
        number(found["plain_per_s"]),
        number(found["sealed_per_s"]),
        interval(found["throughput"]),
        interval(found["cpu"]),
        number(found["more_us"], 1),
    ]
