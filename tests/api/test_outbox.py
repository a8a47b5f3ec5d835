import asyncio
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from api import metrics
from api import outbox as module
from api.db.session import Database
from api.outbox import Outbox
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import ORGANIZATION, bring_back, query
from tests.fixtures.links import until

pytestmark = pytest.mark.usefixtures("empty")


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> None:
    query(postgres, "DELETE FROM usage")


def row(name: str, **fields: Any) -> dict[str, Any]:
    numbers = {"prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 0, "duration_ms": 7, "status": 200}
    words = {"organization_id": ORGANIZATION, "api_key_id": "key_1", "model": "m", "route": "/v1/x"}
    return {"id": name, **words, **numbers, "created_at": time.time(), **fields}


def stored(postgres: EmbeddedPostgres) -> list[str]:
    return [name for (name,) in query(postgres, "SELECT id FROM usage ORDER BY id")]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def left_behind(folder: Path, pid: int, data: bytes) -> Path:
    path = folder / f"open-{pid}.jsonl"
    path.write_bytes(data)
    return path


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(orjson.dumps(each) + b"\n" for each in rows)


async def test_a_row_is_on_disk_before_it_is_sent(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path, database)
    outbox.add(row("a"))
    assert orjson.loads((tmp_path / f"open-{os.getpid()}.jsonl").read_bytes())["id"] == "a"
    assert stored(postgres) == []
    await outbox.flush()
    assert (stored(postgres), files(tmp_path)) == (["a"], [])


async def test_a_row_is_stored_as_it_was(database: Database, postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    outbox, moment = Outbox(tmp_path, database), 1_700_000_000.25
    outbox.add(row("a", prompt_tokens=2**40, model='m "x" é', created_at=moment))
    await outbox.flush()
    found = query(postgres, "SELECT prompt_tokens, model, extract(epoch FROM created_at)::float8 FROM usage")
    assert found == [(2**40, 'm "x" é', moment)]


async def test_rows_are_sent_by_themselves(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_S", 0.02)
    outbox = Outbox(tmp_path, database)
    for name in ("a", "b"):
        outbox.add(row(name))
        await until(lambda: files(tmp_path) == [])
    assert stored(postgres) == ["a", "b"]


async def test_rows_go_in_batches(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 3)
    outbox = Outbox(tmp_path, database)
    names = [f"{number:02}" for number in range(10)]
    for name in names:
        outbox.add(row(name))
    await outbox.flush()
    assert stored(postgres) == names


async def test_what_a_dead_process_left_is_adopted(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    left_behind(tmp_path, dead_pid(), lines(row("a"), row("b")))
    left_behind(tmp_path, os.getpid(), lines(row("c")))
    outbox = Outbox(tmp_path, database)
    outbox.adopt()
    outbox.add(row("d"))
    await outbox.flush()
    assert (stored(postgres), files(tmp_path)) == (["a", "b", "c", "d"], [])


async def test_what_a_living_process_writes_is_left_alone(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    path = left_behind(tmp_path, os.getppid(), lines(row("a")))
    outbox = Outbox(tmp_path, database)
    outbox.adopt()
    await outbox.flush()
    assert (stored(postgres), files(tmp_path)) == ([], [path.name])


async def test_a_line_that_a_crash_tore_is_left_out(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    left_behind(tmp_path, dead_pid(), lines(row("a"), row("b"))[:-20])
    outbox = Outbox(tmp_path, database)
    outbox.adopt()
    await outbox.flush()
    assert stored(postgres) == ["a"]


async def test_rows_that_were_stored_before_are_not_doubled(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path, database)
    outbox.add(row("a", prompt_tokens=5))
    await outbox.flush()
    left_behind(tmp_path, dead_pid(), lines(row("a", prompt_tokens=6), row("b"), row("b")))
    outbox.adopt()
    await outbox.flush()
    assert query(postgres, "SELECT id, prompt_tokens FROM usage ORDER BY id") == [("a", 5), ("b", 1)]


async def test_several_processes_may_send_the_same_files(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    names = [f"{number:02}" for number in range(12)]
    for name in names:
        left_behind(tmp_path, dead_pid(), lines(row(name)))
        Outbox(tmp_path, database).adopt()
    await asyncio.gather(*(Outbox(tmp_path, database).flush() for _ in range(3)))
    assert (stored(postgres), files(tmp_path)) == (names, [])


async def test_a_file_that_cannot_be_stored_is_set_aside_and_the_others_go_on(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path, database)
    for data in (b"{rubbish\n", lines(row("x", organization_id="nobody")), lines(row("a"))):
        left_behind(tmp_path, dead_pid(), data)
        outbox.adopt()
    await outbox.flush()
    assert stored(postgres) == ["a"]
    assert [Path(name).suffix for name in files(tmp_path)] == [".refused", ".refused"]


async def test_a_disk_that_takes_nothing_costs_the_row_only(database: Database, tmp_path: Path) -> None:
    before = metrics.LOST_USAGE._value.get()
    outbox = Outbox(tmp_path / "nowhere", database)
    outbox.add(row("a"))
    assert metrics.LOST_USAGE._value.get() == before + 1


async def test_rows_wait_while_the_database_is_down(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_S", 0.05)
    await asyncio.to_thread(postgres.stop)
    try:
        first, second = Outbox(tmp_path, database), Outbox(tmp_path, database)
        first.add(row("a"))
        await first.flush()
        second.add(row("b"))
        await second.flush()
        assert len(files(tmp_path)) == 2
    finally:
        await asyncio.to_thread(bring_back, postgres)
    await until(lambda: files(tmp_path) == [])
    assert stored(postgres) == ["a", "b"]
