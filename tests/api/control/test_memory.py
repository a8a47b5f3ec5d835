"""Many stores in one replica that may not take more memory than it is given."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from api.control.feed import StoreFeed
from configs.errors import Unavailable
from retrieval import collection, following, loading
from retrieval.collection import Collection
from retrieval.followed import Memory
from retrieval.index import choice
from retrieval.index.segments import FlatSegment
from tests.fixtures.shelves import D, Replica, Shelf, near, until

Made = Callable[[int | None], Replica]


@pytest.fixture
async def stores(store: Shelf) -> list[Shelf]:
    """Three of one size."""
    made = [store, *(Shelf(store.database, store.jobs, store.vault, store.scope) for _ in range(2))]
    for each in made[1:]:
        await each.make()
    for each in made:
        await each.filled(*range(20))
    return made


@pytest.fixture
async def made(feed: StoreFeed, tmp_path: Path) -> AsyncIterator[Made]:
    replicas: list[Replica] = []

    def make(memory_bytes: int | None) -> Replica:
        replicas.append(Replica(feed, tmp_path / "search", memory_bytes=memory_bytes))
        return replicas[-1]

    yield make
    for each in replicas:
        each.threads.shutdown()


async def sizes(replica: Replica, stores: list[Shelf]) -> list[int]:
    for each in stores:
        assert await replica.found(each.id, near(3, 1)) == [3]
    told = replica.following.stats()
    return [told[each.id]["bytes"] for each in stores]


async def test_without_a_limit_all_stay(stores: list[Shelf], made: Made) -> None:
    replica = made(None)
    await sizes(replica, stores)
    await replica.following.make_room()
    assert len(replica.following.stats()) == 3


async def test_those_asked_least_recently_are_saved_and_leave(stores: list[Shelf], made: Made) -> None:
    size = max(await sizes(made(None), stores))
    replica, (first, second, third) = made(2 * size), stores
    await sizes(replica, stores)
    assert await replica.found(first.id, near(3, 1)) == [3]
    await replica.following.make_room()
    assert list(replica.following.stats()) == [first.id, third.id]
    assert replica.snapshots.stores() == [second.id]
    assert await replica.found(second.id, near(3, 1)) == [3]
    await replica.following.make_room()
    assert set(replica.following.stats()) == {first.id, second.id}


async def test_one_that_is_too_large_alone_is_served_and_said_once(
    stores: list[Shelf], made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    replica = made(100)
    for _ in range(2):
        await sizes(replica, stores[:1])
        await replica.following.make_room()
    assert list(replica.following.stats()) == [stores[0].id]
    assert caplog.text.count("search.store_bytes") == caplog.text.count(stores[0].id) == 1
    await sizes(replica, stores[:2])
    await replica.following.make_room()
    assert list(replica.following.stats()) == [stores[1].id]


async def test_one_that_is_being_read_stays(stores: list[Shelf], made: Made) -> None:
    replica = made(100)
    await sizes(replica, stores[:2])
    async with replica.following._followed[stores[0].id].turn:
        await replica.following.make_room()
    assert len(replica.following.stats()) == 2
    await replica.following.make_room()
    assert list(replica.following.stats()) == [stores[1].id]


async def test_one_that_is_asked_while_it_is_saved_stays(
    stores: list[Shelf], made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = made(100)
    await sizes(replica, stores[:2])
    save = replica.snapshots.save
    loop = asyncio.get_running_loop()

    def asked(*arguments: object) -> None:
        asyncio.run_coroutine_threadsafe(replica.found(stores[0].id, near(1)), loop).result(20)
        save(*arguments)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(replica.snapshots, "save", asked)
    await replica.following.make_room()
    assert set(replica.following.stats()) == {stores[0].id, stores[1].id}


async def test_a_store_is_read_while_another_is_melted(
    stores: list[Shelf], made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who must leave for it leaves without a new snapshot; an older one is read up to date."""
    monkeypatch.setattr(following, "SAVE_WAIT_S", 0.05)
    replica, (first, second, third) = made(100), stores
    await sizes(replica, [first])
    await replica.following._keeping.save(replica.following._followed[first.id])
    await first.filled(50)
    await sizes(replica, [second])
    async with replica.following._keeping._one, asyncio.timeout(10):  # which may take minutes
        assert await replica.found(third.id, near(3, 1)) == [3]
        await replica.following.make_room()
        assert list(replica.following.stats()) == [third.id]
    assert replica.snapshots.stores() == [first.id]
    assert await replica.found(first.id, near(50, 1)) == [20]


async def test_small_stores_are_read_beside_large_ones(
    stores: list[Shelf], made: Made, feed: StoreFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "LARGE_BYTES", 1500)
    large, read, over, begun = [each.id for each in stores], feed.changes, asyncio.Event(), set[str]()
    small = Shelf(stores[0].database, stores[0].jobs, stores[0].vault, stores[0].scope)
    await small.make()
    await small.filled(1)

    async def slow(store_id: str, after: int, *more: int) -> object:
        begun.add(store_id)
        if store_id in large and after:
            await over.wait()
        return await read(store_id, after, *more)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(feed, "changes", slow)
    replica = made(None)
    asked = [asyncio.create_task(replica.found(name, near(3, 1))) for name in large]
    await until(lambda: len(begun) >= loading.LOADS)
    async with asyncio.timeout(60):
        assert await replica.found(small.id, near(1)) == [0]
    assert list(replica.following.stats()) == [small.id]
    over.set()
    assert await asyncio.gather(*asked) == [[3]] * len(large)


async def test_what_is_being_read_counts(
    stores: list[Shelf], made: Made, feed: StoreFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica, (first, second, third) = made(None), stores
    size = max(await sizes(replica, [first, second]))
    replica.following._memory = Memory(5 * size // 2)
    await third.filled(*range(30, 60))
    read, held, over = feed.changes, asyncio.Event(), asyncio.Event()

    async def slow(store_id: str, after: int, *more: int) -> object:
        if store_id == third.id and after:
            held.set()
            await over.wait()
        return await read(store_id, after, *more)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(feed, "changes", slow)
    asked = asyncio.create_task(replica.found(third.id, near(3, 1)))
    await held.wait()
    await replica.following.make_room()
    assert list(replica.following.stats()) == [second.id]
    over.set()
    assert await asked == [3]


async def test_a_store_keeps_its_budget_while_it_is_read(
    store: Shelf, feed: StoreFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "LEAST_TRAINED", 50)
    monkeypatch.setattr(collection, "DELTA_ROWS", 20)
    for first in range(0, 200, 10):
        await store.filled(*range(first, first + 10))
    apply, exact = Collection.apply, list[int]()

    def seen(self: Collection, *changes: object) -> bool:
        done = apply(self, *changes)  # type: ignore[arg-type]  # whatever it was given
        exact.append(sum(part.segment.memory_bytes for part in self._parts if isinstance(part.segment, FlatSegment)))
        return done

    monkeypatch.setattr(Collection, "apply", seen)
    budget, row = 60 * 4 * D, 4 * D
    replica = Replica(feed, tmp_path / "search", budget_bytes=budget)
    assert len(await replica.found(store.id, near(1, 200))) == 200
    assert budget < max(exact) <= budget + 10 * row
    await replica.end()


@pytest.mark.parametrize("error", [RuntimeError("broken"), Unavailable("away")])
async def test_a_store_that_cannot_be_saved_leaves_all_the_same(
    stores: list[Shelf], made: Made, feed: StoreFeed, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    replica, read = made(None), feed.changes
    await sizes(replica, stores)
    replica.following._memory = Memory(100)

    async def broken(store_id: str, *more: int) -> object:
        if store_id == stores[0].id:
            raise error
        return await read(store_id, *more)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(feed, "changes", broken)
    await replica.following.make_room()
    assert list(replica.following.stats()) == [stores[2].id]


async def test_the_loop_makes_room(stores: list[Shelf], made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FOLLOW_S", 0.02)
    replica = made(None)
    await sizes(replica, stores)
    replica.following._memory = Memory(100)
    task = asyncio.create_task(replica.following.run())
    await until(lambda: list(replica.following.stats()) == [stores[2].id])
    task.cancel()
