"""A server must have the connections that an installation takes."""

from collections.abc import Iterator

import pytest

from api.cli.checks import database
from api.db import room
from configs import connections
from configs.catalog import load
from configs.errors import ConfigurationError, Unavailable
from configs.postgres import EmbeddedPostgres
from configs.specs import Configuration, IngressSpec
from tests.fixtures.data_dirs import held_layout, open_folder
from tests.fixtures.database import query


def asked(replicas: int) -> Configuration:
    return Configuration(model_list=(), ingress=IngressSpec(num_replicas=replicas))


@pytest.fixture(scope="module")
def small() -> Iterator[EmbeddedPostgres]:
    with (
        open_folder() as root,
        held_layout(root / "data") as layout,
        EmbeddedPostgres(layout, max_connections=40) as server,
    ):
        server.wait_ready()
        yield server


def test_a_server_that_is_too_small_is_refused_with_both_numbers(small: EmbeddedPostgres) -> None:
    found = room.room(small.urls.app_url)
    assert found == 37  # three are kept for the superuser
    room.check(small.urls.app_url, found)
    with pytest.raises(ConfigurationError, match=r"takes up to 38 connections and PostgreSQL allows 37.*48"):
        room.check(small.urls.app_url, found + 1)


def test_the_limit_of_the_account_counts(small: EmbeddedPostgres) -> None:
    query(small, "ALTER ROLE manta_app CONNECTION LIMIT 5")
    assert room.room(small.urls.app_url) == 5
    query(small, "ALTER ROLE manta_app CONNECTION LIMIT -1")


def test_the_embedded_server_is_made_large_enough() -> None:
    assert connections.embedded(asked(1)) == 100
    assert connections.embedded(asked(64)) > connections.needed(asked(64)) > 64 * connections.POOL_SIZE


def test_a_server_that_is_away_is_said() -> None:
    with pytest.raises(Unavailable):
        room.room("postgresql://127.0.0.1:1/manta")


def test_doctor_tells_each_server_of_the_operators(small: EmbeddedPostgres) -> None:
    """The pool of the replica counts on the replica."""
    few = {"DATABASE_URL": small.urls.app_url, "DATABASE_READ_URL": small.urls.app_url}
    many = {"MANTA__INGRESS__NUM_REPLICAS": "12"}
    assert list(database.check(load(environ={}, env_file=None))) == []
    told = list(database.check(load(environ=few, env_file=None)))
    assert [(each.status, each.message) for each in told] == [
        ("ok", "the server of DATABASE_URL allows 37 connections; Manta takes up to 32"),
        ("ok", "the server of DATABASE_READ_URL allows 37 connections; Manta takes up to 4"),
    ]
    told = list(database.check(load(environ=few | many, env_file=None)))
    assert [each.status for each in told] == ["fail", "ok"]
    assert "DATABASE_URL allows 37 connections and Manta takes up to 87" in told[0].message
    away = few | {"DATABASE_READ_URL": "postgresql://127.0.0.1:1/manta"}
    assert "DATABASE_READ_URL cannot be reached" in list(database.check(load(environ=away, env_file=None)))[1].message
