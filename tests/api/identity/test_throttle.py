import asyncio

import pytest

from api.db.session import Database
from api.identity.throttle import Throttle, network_of
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
    query(postgres, "UPDATE throttles SET window_started_at = now() - interval '16 min', blocked_until = now()")
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
