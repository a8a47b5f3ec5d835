import asyncio

import pytest

from api.db import privacy
from api.db.session import JOBS_ROLE, Database
from api.identity.throttle import Guessing, Throttle, key_of, network_of
from configs.errors import Overloaded
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query


@pytest.fixture(autouse=True)
def empty(postgres: EmbeddedPostgres) -> None:
    query(postgres, "DELETE FROM throttles")


async def test_an_account_waits_after_ten_failures(database: Database, postgres: EmbeddedPostgres) -> None:
    throttle = Throttle(database)
    for _ in range(9):
        await throttle.failed("a", "10.0.0.1")
    await throttle.check("a", "10.0.0.1")
    await throttle.failed("a", "10.0.0.1")
    with pytest.raises(Overloaded) as raised:
        await throttle.check("a", "10.9.9.9")
    assert 0 < (raised.value.retry_after_s or 0) <= 1
    await throttle.check("b", "10.0.0.1")
    for _ in range(40):
        await throttle.failed("a", "10.0.0.1")
    with pytest.raises(Overloaded) as raised:
        await throttle.check("a", "10.9.9.9")
    assert 890 < (raised.value.retry_after_s or 0) <= 900
    query(postgres, "UPDATE throttles SET window_ends_at = now() - interval '1 min', blocked_until = now()")
    await throttle.check("a", "10.0.0.1")
    await throttle.failed("a", "10.0.0.1")
    await throttle.check("a", "10.0.0.1")


async def test_failures_at_once_are_all_counted(database: Database, postgres: EmbeddedPostgres) -> None:
    throttle = Throttle(database)
    await asyncio.gather(*(throttle.failed("a", f"10.0.0.{n}") for n in range(50)))
    assert query(postgres, "SELECT max(count) FROM throttles") == [(50,)]


async def test_success_is_forgotten_by_the_account_alone(database: Database) -> None:
    throttle = Throttle(database)
    for _ in range(100):
        await throttle.failed("a", "2001:db8::1")
    await throttle.succeeded("a")
    await throttle.check("a", "10.0.0.1")
    with pytest.raises(Overloaded):
        await throttle.check("a", "2001:db8::2")


def test_addresses_count_by_what_a_subscriber_has() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") == "2001:db8::/64"
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") == "10.0.0.1"
    assert network_of("") == ""


async def test_of_guesses_at_a_code_at_once_one_gets_through(database: Database, postgres: EmbeddedPostgres) -> None:
    throttle = Throttle(database)

    async def let_through() -> bool:
        try:
            await throttle.take_code("a", "10.0.0.1")
        except Overloaded:
            return False
        return True

    assert [await let_through() for _ in range(9)] == [True] * 9
    query(postgres, "UPDATE throttles SET count = 19, window_ends_at = window_ends_at - interval '1 day'")
    assert sum(await asyncio.gather(*(let_through() for _ in range(8)))) == 1, "a day later they still count"
    ((left,),) = query(postgres, "SELECT extract(epoch FROM blocked_until - now()) FROM throttles")
    assert 900 < left <= 1024
    with pytest.raises(Overloaded) as raised:
        await throttle.take_code("a", "10.9.9.9")
    assert (raised.value.retry_after_s or 0) > 900
    await throttle.code_succeeded("a")
    assert query(postgres, "SELECT 1 FROM throttles") == []


async def test_a_count_is_kept_until_its_window_ends(database: Database, postgres: EmbeddedPostgres) -> None:
    throttle, jobs = Throttle(database), Database(postgres.urls.jobs_url, pool_size=1, role=JOBS_ROLE)
    code, account = key_of(Guessing.CODE, "a"), key_of(Guessing.ACCOUNT, "a")
    for _ in range(9):
        await throttle.take_code("a", "10.0.0.1")
    await throttle.failed("a", "10.0.0.1")

    async def left(older: str) -> set[bytes]:
        query(postgres, "UPDATE throttles SET window_ends_at = window_ends_at - %s::interval", older)
        async with jobs.unit() as unit:
            await privacy.sweep(unit)
        return {key for (key,) in query(postgres, "SELECT key FROM throttles")} & {code, account}

    assert await left("1 minute") == {code, account}
    assert await left("25 hours") == {code}, "the count of wrong codes is one of 30 days"
    query(postgres, "UPDATE throttles SET blocked_until = now() + interval '1 minute'")
    assert await left("30 days") == {code}, "it still blocks"
    query(postgres, "UPDATE throttles SET blocked_until = now()")
    assert await left("0 days") == set()
    await jobs.close()


async def test_what_strangers_begin_is_counted_by_address(database: Database, postgres: EmbeddedPostgres) -> None:
    throttle, limit = Throttle(database), Guessing.CEREMONY.value
    await throttle.take(Guessing.CEREMONY, "2001:db8::1")
    query(postgres, "UPDATE throttles SET count = %s", limit.allowed - 1)
    await throttle.take(Guessing.CEREMONY, "2001:db8::2")
    with pytest.raises(Overloaded) as raised:
        await throttle.take(Guessing.CEREMONY, "2001:db8::3")
    assert (raised.value.retry_after_s, raised.value.message) == (1.0, limit.said)
    await throttle.take(Guessing.CEREMONY, "2001:db8:0:1::1")
    await throttle.take(Guessing.REGISTRATION, "2001:db8::1")
    await throttle.check("a", "2001:db8::1")
