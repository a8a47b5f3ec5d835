import asyncio

import psycopg
import pytest

from api.control.leadership import KEY, Leadership
from api.db.locks import SessionLock
from configs.errors import Unavailable
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import bring_back, query

HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"


@pytest.mark.parametrize("leads", [True, False], ids=["leadership", "any lock"])
async def test_the_second_waits_until_the_first_gives_up(postgres: EmbeddedPostgres, leads: bool) -> None:
    url = postgres.urls.app_url
    first, second = (Leadership(url) if leads else SessionLock(url, 77) for _ in range(2))
    assert await first.held()
    assert await first.held()
    assert not await second.held()
    await first.close()
    assert await second.held()
    assert not await first.held()
    await second.close()


async def test_two_locks_are_held_beside_each_other(postgres: EmbeddedPostgres) -> None:
    locks = [SessionLock(postgres.urls.app_url, key) for key in (1, 2)]
    assert [await lock.held() for lock in locks] == [True, True]
    for lock in locks:
        await lock.close()


async def test_who_waits_holds_no_connection(postgres: EmbeddedPostgres) -> None:
    first, second = Leadership(postgres.urls.app_url), Leadership(postgres.urls.app_url)
    assert await first.held()
    for _ in range(5):
        assert not await second.held()
    assert second._connection is None
    assert len(query(postgres, HOLDERS, KEY)) == 1
    await first.close()


async def test_a_lost_connection_is_a_lost_lock(postgres: EmbeddedPostgres) -> None:
    first, second = Leadership(postgres.urls.app_url), Leadership(postgres.urls.app_url)
    assert await first.held()
    ((pid,),) = query(postgres, HOLDERS, KEY)
    with psycopg.connect(postgres.urls.app_url, autocommit=True) as same_role:
        same_role.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with pytest.raises(Unavailable):
        await first.held()
    assert await second.held()
    assert not await first.held()
    await second.close()
    assert await first.held()
    await first.close()


async def test_a_stopped_database_ends_the_lock_and_it_comes_back(postgres: EmbeddedPostgres) -> None:
    lock = Leadership(postgres.urls.app_url)
    assert await lock.held()
    await asyncio.to_thread(postgres.stop)
    try:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await lock.held()
    finally:
        await asyncio.to_thread(bring_back, postgres)
    assert await lock.held()
    await lock.close()


async def test_a_lock_that_was_never_held_can_be_closed(postgres: EmbeddedPostgres) -> None:
    await SessionLock(postgres.urls.app_url, 3).close()
