"""What becomes of pooled connections that ended while nobody used them."""

import asyncio
import os
import socket
import time
from typing import Any

import pytest
from sqlalchemy import make_url, text

from api.db import session
from api.db.session import Database
from configs.errors import Unavailable
from configs.postgres import EmbeddedPostgres
from tests.fixtures.chaos import chaos
from tests.fixtures.database import query


async def backend(database: Database) -> int:
    async with database.unit() as unit:
        return int((await unit.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def test_one_that_the_server_ended_is_replaced_without_an_error(postgres: EmbeddedPostgres) -> None:
    database = Database(postgres.urls.app_url, pool_size=1)
    first = await backend(database)
    assert await backend(database) == first
    assert query(postgres, "SELECT pg_terminate_backend(%s, 5000)", first) == [(True,)]
    assert await backend(database) != first
    await database.close()


async def test_one_that_was_dropped_while_it_rested_is_replaced_in_time(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PING_S", 0.3)
    async with chaos(postgres) as proxy:
        database = Database(proxy.url(postgres.urls.app_url), pool_size=1)
        first = await backend(database)
        monkeypatch.setattr(session, "PINGED_AFTER_S", 0.0)
        assert await backend(database) == first
        proxy.lose()
        began = time.monotonic()
        second = await backend(database)
        assert second != first
        assert 0.3 <= time.monotonic() - began < session.DEADLINE_S / 2
        assert await backend(database) == second
        await database.close()


async def test_one_that_was_used_just_now_costs_no_question(postgres: EmbeddedPostgres) -> None:
    async with chaos(postgres) as proxy:
        database = Database(proxy.url(postgres.urls.app_url), pool_size=1)
        await backend(database)
        proxy.cut_before = b"SELECT 1"
        await backend(database)
        assert proxy.cuts == 0
        await database.close()


async def sockets_options(url: str) -> list[int]:
    database = Database(url, pool_size=1)
    async with database.unit() as unit:
        raw: Any = await (await unit.connection()).get_raw_connection()
        with socket.socket(fileno=os.dup(raw.driver_connection.fileno())) as same:
            options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
            options += [(socket.IPPROTO_TCP, each) for each in (socket.TCP_KEEPIDLE, socket.TCP_USER_TIMEOUT)]
            found = [same.getsockopt(*each) for each in options]
    await database.close()
    return found


async def test_over_tcp_the_peer_is_asked_whether_it_is_there(postgres: EmbeddedPostgres) -> None:
    async with chaos(postgres) as proxy:
        listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        given = make_url(postgres.urls.app_url).set(host="127.0.0.1", port=port, query={})
        url = given.render_as_string(hide_password=False)
        assert await sockets_options(url) == [1, 30, 30_000]
        assert await sockets_options(f"{url}?keepalives_idle=7") == [1, 7, 30_000]
        listener.close()


async def test_who_waits_for_one_is_not_passed_over(postgres: EmbeddedPostgres) -> None:
    database, turns = Database(postgres.urls.app_url, pool_size=1), list[int]()

    async def often(number: int) -> None:
        for _ in range(10):
            async with database.unit() as unit:
                turns.append(number)
                await unit.execute(text("SELECT 1"))

    await asyncio.gather(*(often(number) for number in range(12)))
    await database.close()
    assert turns == list(range(12)) * 10


async def test_who_waits_too_long_is_told_why(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "POOL_WAIT_S", 0.2)
    database = Database(postgres.urls.app_url, pool_size=1)
    async with database.unit():
        with pytest.raises(Unavailable, match="are busy"):
            await backend(database)
    await backend(database)
    await database.close()
