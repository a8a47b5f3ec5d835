"""The real database and Valkey. What Ray Serve brings from other processes is given: tests/stack has a real one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from api import readiness as module
from api.backup.standing import Standing
from api.db.session import Database
from api.readiness import Readiness
from configs.datadir import Layout
from configs.errors import Unavailable
from configs.postgres import EmbeddedPostgres
from configs.valkey import EmbeddedValkey
from tests.fixtures.database import bring_back, query


class Told:
    """What Serve brings from `control` and search; None: nobody answers."""

    def __init__(self) -> None:
        self.states: dict[str, Any] | None = {}
        self.stats: dict[str, Any] | None = {}
        self.away = ""

    async def __call__(self, app: str, deployment: str, method: str, *, timeout_s: float) -> bytes:
        answers = {("control", "states"): self.states, ("search", "stats"): self.stats}
        answer = answers[app.partition("-")[0], method]
        if answer is None or app == self.away:
            raise Unavailable(f"{deployment} did not answer.")
        return orjson.dumps(answer)


def model(state: str) -> dict[str, Any]:
    return {"state": state, "phase": state, "replicas": 1}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    made = Told()
    monkeypatch.setattr(module, "call", made)
    return made


@pytest.fixture
def valkey(held: Layout) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(held, maxmemory="16mb") as server:
        yield server


@pytest.fixture
async def readiness(database: Database, valkey: EmbeddedValkey, told: Told) -> AsyncIterator[Readiness]:
    made = Readiness(database, valkey.url, search=["search"])
    yield made
    await made._valkey.aclose()


async def test_everything_is_ready(readiness: Readiness, told: Told) -> None:
    told.states = {"m": model("ready") | {"message": "/a/path"}}
    ready, parts = await readiness.report()
    assert ready
    assert {parts[name] for name in ("postgres", "valkey", "ingress", "search")} == {"ready"}
    assert parts["models"] == {"m": model("ready")}


async def test_search_may_be_away_or_off(readiness: Readiness, told: Told, database: Database) -> None:
    told.stats = None
    ready, parts = await readiness.report()
    assert (ready, parts["search"]) == (True, "unreachable")
    without = Readiness(database, "redis://127.0.0.1:1", search=())
    ready, parts = await without.report()
    assert (ready, parts["search"], parts["valkey"]) == (True, "off", "unreachable")
    await without._valkey.aclose()


async def test_search_is_ready_when_every_shard_is(database: Database, told: Told) -> None:
    made = Readiness(database, "redis://127.0.0.1:1", search=["search-0", "search-1"])
    assert (await made.report())[1]["search"] == "ready"
    told.away = "search-1"
    assert (await made.report())[1]["search"] == "unreachable"
    await made._valkey.aclose()


@pytest.mark.parametrize(
    ("states", "ready"),
    [([], True), (["ready"], True), (["asleep"], True), (["failed", "ready"], True), (["starting"], False)],
)
async def test_one_model_that_can_answer_is_enough(
    readiness: Readiness, told: Told, states: list[str], ready: bool
) -> None:
    told.states = {f"m{number}": model(state) for number, state in enumerate(states)}
    assert (await readiness.report())[0] == ready


async def test_the_last_known_states_stay_while_control_is_away(readiness: Readiness, told: Told) -> None:
    told.states = {"m": model("ready") | {"message": "/a/path"}}
    await readiness.report()
    told.states = None
    ready, parts = await readiness.report()
    assert ready
    assert parts["models"] == {"m": model("ready")}


async def test_another_schema_is_not_ready(readiness: Readiness, postgres: EmbeddedPostgres) -> None:
    ((present,),) = query(postgres, "SELECT version_num FROM alembic_version")
    query(postgres, "UPDATE alembic_version SET version_num = 'another'")
    ready, parts = await readiness.report()
    query(postgres, "UPDATE alembic_version SET version_num = %s", present)
    assert not ready
    assert "manta db upgrade" in parts["postgres"]
    assert (await readiness.report())[0]


async def test_valkey_may_be_away_and_the_database_may_not(
    readiness: Readiness, valkey: EmbeddedValkey, postgres: EmbeddedPostgres
) -> None:
    await asyncio.to_thread(valkey.stop)
    ready, parts = await readiness.report()
    assert (ready, parts["valkey"]) == (True, "unreachable")
    await asyncio.to_thread(postgres.stop)
    try:
        ready, parts = await readiness.report()
        assert (ready, parts["postgres"]) == (False, "unreachable")
    finally:
        await asyncio.to_thread(bring_back, postgres)
    assert (await readiness.report())[0]


async def test_backups_that_are_hindered_are_told_and_no_file_is_named(
    database: Database, told: Told, tmp_path: Path
) -> None:
    made = Readiness(database, "redis://127.0.0.1:1", search=(), backups_of=tmp_path)
    standing = Standing(tmp_path)
    assert (await made.report())[1]["backups"] == "ready"
    standing.hindered("backup", "/a/path is full")
    ready, parts = await made.report()
    assert (ready, parts["backups"]) == (True, "hindered: `manta db backups` tells why")
    standing.goes_on("backup")
    assert (await made.report())[1]["backups"] == "ready"
    await made._valkey.aclose()
