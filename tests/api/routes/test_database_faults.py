"""The database cut at COMMIT, frozen, refusing, gone: nothing acknowledged is lost, and nothing doubles."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from api.db import session as session_module
from api.db.session import Database
from api.scope import Scope
from configs.connections import POOL_SIZE
from configs.errors import Unavailable
from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import Application, Person, application
from tests.fixtures.chaos import Chaos, chaos
from tests.fixtures.database import query


@pytest.fixture
async def proxy(postgres: EmbeddedPostgres) -> AsyncIterator[Chaos]:
    async with chaos(postgres) as made:
        yield made


@pytest.fixture
async def behind(postgres: EmbeddedPostgres, proxy: Chaos) -> AsyncIterator[Application]:
    async with application(postgres, database_url=proxy.url(postgres.urls.app_url)) as made:
        yield made


async def create(person: Person, title: str, key: str) -> httpx2.Response:
    headers = person.headers | {"idempotency-key": key}
    return await person.http.post("/api/conversations", json={"title": title}, headers=headers)


async def known(app: Application, name: str) -> Person:
    """Somebody whom the ingress let in before."""
    person = await app.register(name)
    assert (await person.http.get("/v1/models", headers=person.headers)).status_code == 200
    return person


def count(app: Application, person: Person) -> int:
    ((found,),) = query(app.postgres, "SELECT count(*) FROM conversations WHERE user_id = %s", person.id)
    return int(found)


@pytest.mark.parametrize("where", ["before the server saw it", "before its answer came"])
async def test_a_commit_that_is_cut_happens_once(behind: Application, proxy: Chaos, fresh: str, where: str) -> None:
    person = await behind.register(fresh)
    for number in range(3):
        if where == "before its answer came":
            proxy.cut_after = b"COMMIT"
        else:
            proxy.cut_before = b"COMMIT"
        cut = await create(person, f"t{number}", f"k{number}")
        assert (cut.status_code, cut.headers["retry-after"]) == (503, "2")
        assert cut.json()["error"]["type"] == "service_unavailable_error"
        again = await create(person, f"t{number}", f"k{number}")
        assert again.status_code == 201, again.text
        once_more = await create(person, f"t{number}", f"k{number}")
        assert once_more.json() == again.json()
        assert count(behind, person) == number + 1
    assert proxy.cuts >= 3


async def test_a_frozen_database_is_answered_in_time_and_used_again(
    behind: Application, proxy: Chaos, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await known(behind, fresh)
    monkeypatch.setattr(behind.services.database, "_deadline_s", 0.5)
    proxy.thawed.clear()
    answers = await asyncio.gather(*(create(person, "x", f"f{n}") for n in range(6)))
    assert {answer.status_code for answer in answers} == {503}
    assert all("retry-after" in answer.headers for answer in answers)
    assert (await person.http.get("/v1/models", headers=person.headers)).status_code == 200
    proxy.thawed.set()
    monkeypatch.setattr(behind.services.database, "_deadline_s", session_module.DEADLINE_S)
    assert (await create(person, "y", "after")).status_code == 201


async def test_a_database_that_refuses_lets_known_people_go_on(behind: Application, proxy: Chaos, fresh: str) -> None:
    person = await known(behind, fresh)
    proxy.refusing = True
    for writer in list(proxy.writers):
        writer.transport.abort()
    assert (await person.http.get("/v1/models", headers=person.headers)).status_code == 200
    assert (await create(person, "x", "r")).status_code == 503
    stranger = {"authorization": "Bearer sk-" + "x" * 43}
    assert (await person.http.get("/v1/models", headers=stranger)).status_code == 503
    proxy.refusing = False
    assert (await create(person, "x", "r")).status_code == 201
    assert count(behind, person) == 1


async def cancelled_many(database: Database, number: int) -> None:
    async def one(index: int) -> None:
        scope = Scope("org_cancel", f"user_{index}")
        async with database.unit(scope) as unit:
            asked = text("SELECT current_setting('manta.user'), :n, pg_sleep(0.003)")
            row = (await unit.execute(asked, {"n": str(index)})).one()
            assert (row[0], row[1]) == (scope.user_id, str(index))

    for start in range(0, number, 20):
        tasks = [asyncio.create_task(one(start + each)) for each in range(20)]
        await asyncio.sleep(0.001 * (start % 7))
        for task in tasks[::2]:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Unavailable):
                await task


async def check_cancels(postgres: EmbeddedPostgres, number: int) -> None:
    database = Database(postgres.urls.app_url, application="cancels")
    await cancelled_many(database, number)
    pool: Any = database._engine.pool
    assert pool.checkedout() == 0
    async with database.unit() as unit:
        assert await unit.scalar(text("SELECT current_setting('manta.user', true)")) in (None, "")
    held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cancels'"
    assert query(postgres, held)[0][0] <= POOL_SIZE
    await database.close()


async def test_cancelled_units_leak_nothing_and_answer_nobody_else(postgres: EmbeddedPostgres) -> None:
    await check_cancels(postgres, 400)


@pytest.mark.deep
async def test_ten_thousand_cancelled_units(postgres: EmbeddedPostgres) -> None:
    await check_cancels(postgres, 10_000)
