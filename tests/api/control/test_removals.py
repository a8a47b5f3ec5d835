"""What was removed from a store leaves memory and snapshots within one look at them, and is never written back."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.control.feed import StoreFeed
from api.db import knowledge as queries
from api.db.session import Database
from configs.errors import Unavailable
from configs.postgres import EmbeddedPostgres
from configs.postgres_settings import DATABASE
from retrieval import following, loading
from retrieval.followed import Followed
from tests.fixtures.database import query
from tests.fixtures.shelves import Replica, Shelf, about, near, remove, row_of, until, vector


async def head(store: Shelf, feed: StoreFeed) -> int:
    return (await feed.heads([store.id]))[store.id]


def held(replica: Replica, store: Shelf) -> Followed:
    return replica.following._followed[store.id]


def words(followed: Followed | None) -> set[str]:
    parts = [] if followed is None else followed.collection._parts
    return {term for part in parts for term in part.lexicon.postings}


async def saved(replica: Replica, store: Shelf, feed: StoreFeed) -> tuple[int, int] | None:
    """The change and the chunks of its snapshot."""
    found = replica.snapshots.load(await feed.open_store(store.id))
    return None if found is None else (found.seq, found.size)


@pytest.fixture
async def gone(store: Shelf, replica: Replica) -> str:
    """A file that was removed since its store was saved; nobody asks the store any more."""
    file_id = await store.filled(1)
    await store.filled(2)
    assert len(await replica.found(store.id, near(1))) == 2
    await replica.following._keeping.save(held(replica, store))
    assert replica.snapshots.stores() == [store.id]
    held(replica, store).asked_at -= following.LATELY_S + 1
    await remove(store, await row_of(store, file_id))
    return file_id


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("end", ["idle", "close", "room"])
async def test_it_leaves_memory_and_is_not_written_when_the_store_leaves(
    store: Shelf, feed: StoreFeed, replica: Replica, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if end == "idle":
        await replica.following.sweep()
        assert replica.snapshots.stores() == []
        await until(lambda: words(held(replica, store)) == {"word2"})
        held(replica, store).asked_at -= following.IDLE_S
        await replica.following.sweep()
    elif end == "close":
        await replica.following.close()
    else:
        monkeypatch.setattr(replica.following._memory, "surplus", lambda stores, _: list(stores))
        await replica.following.make_room()
    assert await saved(replica, store, feed) == (await head(store, feed), 1)
    await replica.following.sweep()
    assert len(replica.snapshots.places()) == 1


@pytest.mark.usefixtures("gone")
async def test_where_nobody_tells_what_is_gone_nothing_is_kept(
    store: Shelf, feed: StoreFeed, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(feed, "changes", away)
    held(replica, store).asked_at -= following.IDLE_S
    with pytest.raises(Unavailable):
        await replica.following.sweep()
    assert replica.snapshots.stores() == []
    assert list(replica.following.stats()) == [store.id]
    await replica.following.close()
    assert replica.snapshots.stores() == []


@pytest.mark.usefixtures("gone")
async def test_a_snapshot_that_is_written_after_a_removal_is_known_by_its_change(
    store: Shelf, feed: StoreFeed, replica: Replica, tmp_path: Path
) -> None:
    """Its content is of before, by however long it took and whatever a clock says."""
    lagging = Replica(feed, tmp_path / "search")
    replica.snapshots.save(await feed.open_store(store.id), held(replica, store).collection)
    assert replica.snapshots.stores() == [store.id]
    await lagging.following.sweep()
    assert replica.snapshots.stores() == []
    await lagging.end()


async def outdated(feed: StoreFeed, store: Shelf, *seqs: int) -> list[int]:
    return sorted(seq for _, seq in await feed.outdated([(store.id, seq) for seq in seqs]))


async def test_who_may_stay_where(store: Shelf, feed: StoreFeed, jobs: Database, postgres: EmbeddedPostgres) -> None:
    seqs: list[int] = []
    first = await store.filled(1)
    seqs.append(await head(store, feed))
    await remove(store, await row_of(store, first))
    seqs.append(await head(store, feed))
    for number in range(2, 4):
        await store.filled(number)
        seqs.append(await head(store, feed))
    assert await outdated(feed, store, *seqs) == seqs[:1]
    never = [seqs[2] - 1, seqs[3] - 1, seqs[3] + 1]  # of another course of things
    assert await outdated(feed, store, *never) == sorted(never)
    async with jobs.unit() as unit:
        assert await queries.forget_changes(unit, datetime.now(UTC) + timedelta(seconds=1)) > 0
    assert await outdated(feed, store, *seqs) == seqs[:3]
    query(postgres, "UPDATE vector_stores SET index_id = 'vs_new' WHERE id = %s", store.id)
    assert await outdated(feed, store, seqs[3]) == [seqs[3]]
    assert await feed.outdated([("vs_none", 1)]) == [("vs_none", 1)]


async def test_changes_behind_one_that_never_was_are_not_told(store: Shelf, feed: StoreFeed) -> None:
    await store.filled(1)
    first = await head(store, feed)
    await store.filled(2)
    last = await head(store, feed)
    assert await feed.changes(store.id, first, last) is not None
    assert await feed.changes(store.id, first + 1, last) is None
    assert await feed.changes(store.id, first - 1, last) is not None  # before all that are known


def test_removals_are_found_by_their_index(postgres: EmbeddedPostgres) -> None:
    asked = str(queries.OUTDATED).replace(":store_ids", "'{vs_a}'").replace(":seqs", "'{7}'")
    with postgres._connect(DATABASE) as connection:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_bitmapscan = off")
        plan = connection.execute(f"EXPLAIN {asked}".encode()).fetchall()
    assert "ix_vector_store_changes_removed" in str(plan)
    assert "Hash" not in str(plan)


async def test_what_takes_long_holds_up_no_change(store: Shelf, replica: Replica) -> None:
    await store.filled(1)
    await replica.found(store.id, near(1))
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for _ in range(3):
        replica.slow.submit(lambda: asyncio.run_coroutine_threadsafe(over.wait(), loop).result(60))
    seq = await store.chunks(await store.file(), ["new"], [vector(50)])
    async with asyncio.timeout(10):
        assert await replica.found(store.id, about("new"), seq) == [1]
    over.set()


async def test_a_store_that_is_read_for_long_stops_neither_sweeps_nor_the_limit(
    store: Shelf, replica: Replica, feed: StoreFeed, monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres
) -> None:
    for name in ("FOLLOW_S", "SWEEP_S"):
        monkeypatch.setattr(following, name, 0.02)
    other = Shelf(store.database, store.jobs, store.vault, store.scope)
    await other.make()
    for each in (store, other):
        await each.filled(1)
        await replica.found(each.id, near(1))
    held(replica, other).asked_at -= following.LATELY_S
    followed = held(replica, store)
    async with followed.turn:
        await store.filled(2)
        task = asyncio.create_task(replica.following.run())
        await asyncio.sleep(0.1)
        query(postgres, "delete from vector_stores where id = %s", other.id)
        await until(lambda: list(replica.following.stats()) == [store.id])
    task.cancel()


async def test_a_store_that_is_read_for_long_stops_no_other_from_being_followed(
    store: Shelf, replica: Replica, feed: StoreFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "FOLLOW_S", 0.05)
    other = Shelf(store.database, store.jobs, store.vault, store.scope)
    await other.make()
    for each in (store, other):
        await each.filled(1)
        await replica.found(each.id, near(1))
    read, over = feed.changes, asyncio.Event()

    async def slow(store_id: str, *more: int) -> object:
        if store_id == store.id:
            await over.wait()
        return await read(store_id, *more)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(feed, "changes", slow)
    await store.filled(2)
    await replica.following._follow()
    await other.filled(2)
    await replica.following._follow()
    await until(lambda: [each["chunks"] for each in replica.following.stats().values()] == [1, 2])
    over.set()
    await until(lambda: [each["chunks"] for each in replica.following.stats().values()] == [2, 2])


async def test_few_cold_stores_are_read_at_once_and_room_is_made_before(
    store: Shelf, feed: StoreFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [store, *(Shelf(store.database, store.jobs, store.vault, store.scope) for _ in range(7))]
    for each in stores:
        if each is not store:
            await each.make()
        await each.filled(1)
    replica = Replica(feed, tmp_path / "search", memory_bytes=1)
    heads, counts = feed.open_store, list[int]()

    async def counted(store_id: str) -> object:
        counts.append(len(replica.following.stats()))
        return await heads(store_id)

    monkeypatch.setattr(feed, "open_store", counted)
    asked: Sequence[list[int]] = await asyncio.gather(*(replica.found(each.id, near(1)) for each in stores))
    assert asked == [[0]] * len(stores)
    assert max(counts) <= 2 * loading.LOADS < len(stores) - 1  # on a slow machine one is late to leave
    await replica.end()
