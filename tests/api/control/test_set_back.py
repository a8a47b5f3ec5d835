"""A database that was restored from an older dump, while search replicas and their snapshots went on."""

import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from api.control.feed import StoreFeed
from configs import postgres_cluster
from configs.postgres import EmbeddedPostgres
from retrieval import following
from retrieval.feed import Changes
from retrieval.shards import Shard
from tests.fixtures.database import query
from tests.fixtures.shelves import Replica, Shelf, about, near, until

TABLES = ("vector_stores", "files", "vector_store_files", "chunks", "vector_store_changes")
Chosen = Callable[[Replica], Awaitable[Replica]]


def program(name: str) -> str:
    return str(postgres_cluster._WHEEL.site() / postgres_cluster._INSTALL / "bin" / name)


def dumped(postgres: EmbeddedPostgres, path: Path) -> Path:
    wanted = [f"--table={table}" for table in TABLES]
    command = [program("pg_dump"), postgres.root_url, "--data-only", "--format=custom", *wanted]
    with path.open("wb") as file:
        subprocess.run(command, stdout=file, check=True)
    return path


def restored(postgres: EmbeddedPostgres, path: Path) -> None:
    query(postgres, f"SET session_replication_role = replica; DELETE FROM {'; DELETE FROM '.join(TABLES)}")
    options = ["--data-only", "--disable-triggers", "--single-transaction", "--exit-on-error"]
    subprocess.run([program("pg_restore"), "--dbname", postgres.root_url, *options, str(path)], check=True)


async def head(store: Shelf, feed: StoreFeed) -> int:
    return (await feed.heads([store.id]))[store.id]


@pytest.fixture(params=["in memory", "from its snapshot"])
def going_on(request: pytest.FixtureRequest, feed: StoreFeed, tmp_path: Path) -> Chosen:
    """The replica as it is, or one that begins with what that one had saved."""

    async def chosen(replica: Replica) -> Replica:
        if request.param == "in memory":
            return replica
        for each in replica.following._followed.values():
            assert replica.snapshots.save(each.store, each.collection)
        return Replica(feed, tmp_path / "search")

    return chosen


@pytest.mark.parametrize("after", [2, 5, 12])
async def test_who_stood_at_what_never_was_answers_as_the_database_is(
    store: Shelf, feed: StoreFeed, replica: Replica, postgres: EmbeddedPostgres, tmp_path: Path, going_on: Chosen,
    after: int,
) -> None:  # fmt: skip
    """Fewer changes after it than there were, as many, and more: the ids of chunks now mean other texts."""
    for number in range(3):
        await store.filled(number)
    dump = dumped(postgres, tmp_path / "dump")
    for number in range(10, 15):
        await store.filled(number)
    assert len(await replica.found(store.id, near(1), await head(store, feed))) == 8
    restored(postgres, dump)
    for number in range(20, 20 + after):
        await store.filled(number)
    again = await going_on(replica)
    if again is replica:
        again.following._followed[store.id].heard_at -= following.HEARD_S
    seq = await head(store, feed)
    assert sorted(await again.found(store.id, near(1, 50), seq)) == list(range(3 + after))
    assert await again.found(store.id, about("word21"), seq) == [4]
    assert await again.found(store.id, about("word11"), seq) == []
    assert again.following.stats()[store.id]["seq"] == seq


async def test_a_store_that_is_followed_is_soon_as_the_database_is(
    store: Shelf, feed: StoreFeed, replica: Replica, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    """Nothing happens after it that a question could name."""
    await store.filled(1)
    dump = dumped(postgres, tmp_path / "dump")
    await store.filled(2)
    assert len(await replica.found(store.id, near(1), await head(store, feed))) == 2
    await replica.following.close()
    restored(postgres, dump)
    await replica.following._follow()
    assert await replica.found(store.id, near(1)) == [0]
    assert replica.snapshots.stores() == []


async def test_one_that_was_set_back_to_nothing_is_empty(
    store: Shelf, feed: StoreFeed, replica: Replica, postgres: EmbeddedPostgres, tmp_path: Path, going_on: Chosen
) -> None:
    dump = dumped(postgres, tmp_path / "dump")
    await store.filled(1)
    assert await replica.found(store.id, near(1)) == [0]
    restored(postgres, dump)
    again = await going_on(replica)
    await again.following._follow()
    assert await again.found(store.id, near(1), await head(store, feed)) == []


async def test_one_that_was_set_back_while_it_was_read_is_read_from_its_beginning(
    store: Shelf, feed: StoreFeed, replica: Replica, postgres: EmbeddedPostgres, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The first page is of changes that are there still, the number that was told with it is not."""
    for number in range(5):
        await store.filled(number)
    dump = dumped(postgres, tmp_path / "dump")
    for number in range(10, 15):
        await store.filled(number)
    read = feed.changes
    pages: list[int] = []

    async def interrupted(store_id: str, after: int, seen: int, shard: Shard) -> Changes | None:
        if len(pages) == 1:
            restored(postgres, dump)
            for number in range(20, 23):
                await store.filled(number)
        pages.append(after)
        return await read(store_id, after, seen, shard)

    monkeypatch.setattr(feed, "changes", interrupted)
    assert sorted(await replica.found(store.id, near(1, 50))) == list(range(8))
    assert pages[0] == pages[2] == 0
    await until(lambda: replica.following.stats()[store.id]["chunks"] == 8)
