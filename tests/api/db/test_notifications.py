import asyncio
from collections.abc import AsyncIterator

import pytest

from api.db import notifications
from api.db.notifications import listen, notify
from api.db.session import Database
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import bring_back
from tests.fixtures.links import until


@pytest.fixture
async def heard(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    monkeypatch.setattr(notifications, "RECONNECT_S", 0.05)
    words: list[str] = []
    task = asyncio.create_task(listen(postgres.urls.app_url, ["one", "two"], words.append))
    await until(lambda: len(words) == 2)
    assert words == ["one", "two"]
    words.clear()
    yield words
    task.cancel()
    await asyncio.wait({task})


async def test_what_is_committed_is_heard(database: Database, heard: list[str]) -> None:
    async with database.unit() as session:
        await notify(session, "two")
        await notify(session, "three")
    await until(lambda: heard == ["two"])


async def test_what_is_rolled_back_is_not(database: Database, heard: list[str]) -> None:
    async def notify_and_fail() -> None:
        async with database.unit() as session:
            await notify(session, "one")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await notify_and_fail()
    async with database.unit() as session:
        await notify(session, "two")
    await until(lambda: heard == ["two"])


async def test_a_new_connection_counts_as_heard(postgres: EmbeddedPostgres, heard: list[str]) -> None:
    await asyncio.to_thread(postgres.stop)
    await asyncio.to_thread(bring_back, postgres)
    await until(lambda: heard == ["one", "two"])
