"""Rows of vector stores, the feed of their changes, and collections that follow it: all of it real, in one process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.control.feed import StoreFeed
from api.db import knowledge as queries
from api.db.session import Database
from api.db.tables import File, VectorStore, VectorStoreFile
from api.vault.vault import Vault
from configs.errors import BadRequest, NotFound, Unavailable, Unreadable
from configs.postgres import EmbeddedPostgres
from retrieval import following
from retrieval.collection import Query
from retrieval.filters import parse
from retrieval.following import Following
from retrieval.shelf import Shelf as Snapshots
from tests.fixtures.database import query
from tests.fixtures.shelves import Shelf, about, near, vector


class Replica:
    """What a search replica holds, without its loop: a test says when it follows."""

    def __init__(self, feed: StoreFeed, folder: Path) -> None:
        self.threads = ThreadPoolExecutor(2)
        self.snapshots = Snapshots(folder)
        self.following = Following(feed, self.snapshots, self.threads, self.threads)

    async def found(self, store_id: str, asked: Query, seq: int = 0) -> list[int]:
        (hits,) = await self.following.find(store_id, seq, [asked])
        return [hit.chunk_id for hit in hits]

    async def end(self) -> None:
        await self.following.close()
        self.threads.shutdown()


@pytest.fixture
def feed(jobs: Database, vault: Vault) -> StoreFeed:
    return StoreFeed(jobs, vault, page_chunks=3)


@pytest.fixture
async def replica(feed: StoreFeed, tmp_path: Path) -> AsyncIterator[Replica]:
    made = Replica(feed, tmp_path / "search")
    yield made
    made.threads.shutdown()


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110  what is waited for tells nobody
            await asyncio.sleep(0.02)


async def head(store: Shelf) -> int:
    async with store.jobs.unit() as unit:
        return (await queries.heads(unit, [store.id]))[store.id]


async def remove(store: Shelf, row: File | VectorStoreFile | VectorStore | None) -> None:
    async with store.database.unit(store.scope) as unit:
        await unit.delete(row)


async def test_what_was_written_is_found_by_vector_and_by_word(store: Shelf, replica: Replica) -> None:
    await store.filled(*range(5))
    await store.filled(*range(5, 12))
    assert (await replica.found(store.id, near(7, 1))) == [7]
    assert await replica.found(store.id, about("word3")) == [3]
    assert replica.following.stats()[store.id] == {"chunks": 12, "seq": 2, "dimensions": 8}


async def test_who_names_a_change_finds_it_at_once(store: Shelf, replica: Replica) -> None:
    await store.filled(0)
    assert await replica.found(store.id, near(0, 1)) == [0]
    file_id = await store.file()
    seq = await store.chunks(file_id, ["new"], [vector(50)])
    assert await replica.found(store.id, about("new")) == []
    assert await replica.found(store.id, about("new"), seq) == [1]


@pytest.mark.parametrize("path", ["from the store", "the file itself", "both by the person's end"])
async def test_whatever_removes_a_file_removes_its_chunks_and_is_told(
    store: Shelf, replica: Replica, postgres: EmbeddedPostgres, path: str
) -> None:
    gone, kept = await store.filled(1, 2), await store.filled(3)
    assert set(await replica.found(store.id, near(1))) == {0, 1, 2}
    async with store.database.unit(store.scope) as unit:
        rows = {
            "from the store": await unit.get(VectorStoreFile, (store.id, gone)),
            "the file itself": await unit.get(File, gone),
        }
    if row := rows.get(path):
        await remove(store, row)
        assert await replica.found(store.id, near(1), await head(store)) == [2]
        left = query(postgres, "select file_id from chunks where vector_store_id = %s", store.id)
        assert left == [(kept,)]
    else:
        query(postgres, "delete from users where id = %s", store.scope.user_id)
        assert query(postgres, "select 1 from chunks where vector_store_id = %s", store.id) == []
        await replica.following.sweep()
        assert replica.following.stats() == {}


async def test_the_numbers_of_removed_chunks_are_not_used_again(store: Shelf, replica: Replica) -> None:
    gone = await store.filled(1, 2)
    await remove(store, await _row(store, gone))
    await store.filled(3)
    assert await replica.found(store.id, near(3)) == [2]


async def test_attributes_restrict_what_is_found_and_change(store: Shelf, replica: Replica) -> None:
    first = await store.filled(1)
    await store.filled(2)
    asked = Query(vector(1), filter=parse({"type": "eq", "key": "n", "value": 2}))
    assert await replica.found(store.id, asked) == [1]
    seq = await store.describe(first, {"n": 2})
    assert await replica.found(store.id, asked, seq) == [0, 1]


async def test_a_change_is_never_seen_by_half(store: Shelf, feed: StoreFeed) -> None:
    """A page may be short, a change is whole."""
    await store.filled(*range(8))
    await store.filled(8)
    first = await feed.changes(store.id, 0)
    assert first is not None
    assert (first.seq, len(first.chunks)) == (1, 8)
    second = await feed.changes(store.id, first.seq)
    assert second is not None
    assert (second.seq, [chunk.id for chunk in second.chunks]) == (2, [8])


async def test_who_stood_before_forgotten_removals_begins_anew(store: Shelf, replica: Replica, jobs: Database) -> None:
    gone = await store.filled(1, 2)
    await store.filled(3)
    assert len(await replica.found(store.id, near(1))) == 3
    await remove(store, await _row(store, gone))
    async with jobs.unit() as unit:
        assert await queries.forget_removals(unit, datetime.now(UTC) + timedelta(seconds=1)) >= 1
    await store.filled(4)
    assert set(await replica.found(store.id, near(1), await head(store))) == {2, 3}


async def test_a_store_that_is_gone_is_not_found_and_leaves_no_snapshot(store: Shelf, replica: Replica) -> None:
    await store.filled(1)
    assert await replica.found(store.id, near(1)) == [0]
    await replica.following.close()
    assert replica.snapshots.stores() == [store.id]
    async with store.database.unit(store.scope) as unit:
        row = await unit.get(VectorStore, store.id)
    await remove(store, row)
    with pytest.raises(NotFound):
        await replica.found(store.id, near(1), 10)
    assert replica.following.stats() == {}
    await replica.following.sweep()
    assert replica.snapshots.stores() == []


async def test_one_that_never_was_is_not_found(replica: Replica) -> None:
    for name in ("vs_none", "../../etc/passwd", ""):
        with pytest.raises(NotFound):
            await replica.found(name, near(1))


async def test_a_query_that_is_none_is_refused(store: Shelf, replica: Replica) -> None:
    await store.filled(1)
    with pytest.raises(BadRequest):
        await replica.found(store.id, near(1, 0))


async def test_after_an_orderly_end_only_the_rest_is_read(
    store: Shelf, feed: StoreFeed, replica: Replica, tmp_path: Path
) -> None:
    gone = await store.filled(1, 2)
    await replica.found(store.id, near(1))
    await replica.following.close()
    await store.filled(3)
    await remove(store, await _row(store, gone))
    again = Replica(feed, tmp_path / "search")
    loaded = again.snapshots.load(await feed.open_store(store.id))
    assert loaded is not None
    assert (loaded.seq, loaded.size) == (1, 2)
    assert await again.found(store.id, near(1)) == [2]
    await again.end()


@pytest.mark.parametrize("seed", range(20))
async def test_a_damaged_snapshot_costs_a_rebuild_and_no_more(
    store: Shelf, feed: StoreFeed, replica: Replica, tmp_path: Path, seed: int
) -> None:
    await store.filled(1, 2)
    before = await replica.found(store.id, near(1))
    await replica.following.close()
    path = next((tmp_path / "search").glob("*.snapshot"))
    data = bytearray(path.read_bytes())
    place = (seed * 7919) % len(data)
    path.write_bytes(data[:place] if seed % 2 else data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    again = Replica(feed, tmp_path / "search")
    assert again.snapshots.load(await feed.open_store(store.id)) is None
    assert await again.found(store.id, near(1)) == before
    await again.end()


async def test_the_snapshot_of_another_store_is_not_taken(
    store: Shelf, feed: StoreFeed, replica: Replica, tmp_path: Path
) -> None:
    other = Shelf(store.database, store.jobs, store.vault, store.scope)
    await other.make()
    await store.filled(1)
    await replica.found(store.id, near(1))
    await replica.following.close()
    folder = tmp_path / "search"
    (folder / f"{store.id}.snapshot").rename(folder / f"{other.id}.snapshot")
    assert await Replica(feed, folder).found(other.id, near(1)) == []


async def test_nothing_readable_lies_on_the_disk(store: Shelf, replica: Replica, tmp_path: Path) -> None:
    await store.filled(77)
    await replica.found(store.id, near(77))
    await replica.following.close()
    data = next((tmp_path / "search").glob("*.snapshot")).read_bytes()
    assert b"word77" not in data
    assert vector(77).tobytes()[:8] not in data


async def test_a_disk_that_refuses_costs_the_snapshot_and_no_more(
    store: Shelf, replica: Replica, tmp_path: Path
) -> None:
    await store.filled(1)
    assert await replica.found(store.id, near(1)) == [0]
    (tmp_path / "search").rmdir()
    (tmp_path / "search").write_bytes(b"")
    await replica.following.close()
    assert await replica.found(store.id, near(1)) == [0]


async def test_with_the_key_gone_a_store_does_not_open(
    store: Shelf, replica: Replica, feed: StoreFeed, postgres: EmbeddedPostgres, vault: Vault
) -> None:
    await store.filled(1)
    await replica.found(store.id, near(1))
    query(postgres, "delete from data_keys where owner_id = %s", store.scope.user_id)
    vault.forget()
    with pytest.raises(Unreadable):
        await feed.open_store(store.id)


async def test_a_damaged_chunk_hides_no_other(
    store: Shelf, replica: Replica, postgres: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    await store.filled(1, 2, 3)
    query(postgres, "update chunks set vectors = content where vector_store_id = %s and id = 1", store.id)
    assert set(await replica.found(store.id, near(2))) == {0, 2}
    assert "chunk 1 of" in caplog.text


async def test_the_loop_follows_and_sweeps(
    store: Shelf, replica: Replica, monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres
) -> None:
    monkeypatch.setattr(following, "FOLLOW_S", 0.02)
    monkeypatch.setattr(following, "SWEEP_S", 0.02)
    await store.filled(1)
    await replica.found(store.id, near(1))
    task = asyncio.create_task(replica.following.run())
    await store.filled(2)
    await until(lambda: replica.following.stats()[store.id]["chunks"] == 2)
    query(postgres, "delete from vector_stores where id = %s", store.id)
    await until(lambda: not replica.following.stats())
    task.cancel()


async def test_many_who_ask_first_have_it_read_once(store: Shelf, replica: Replica) -> None:
    await store.filled(1)
    found = await asyncio.gather(*(replica.found(store.id, near(1)) for _ in range(20)))
    assert found == [[0]] * 20
    assert list(replica.following.stats()) == [store.id]


async def test_many_changes_are_melted_and_saved(
    store: Shelf, replica: Replica, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(following, "SAVE_AFTER", 10)
    await store.filled(*range(12))
    assert len(await replica.found(store.id, near(1), 1)) == 10
    await until(lambda: bool(replica.snapshots.stores()))


async def test_a_database_that_is_away_is_said(store: Shelf) -> None:
    away = StoreFeed(Database("postgresql://127.0.0.1:1/none"), store.vault)
    with pytest.raises(Unavailable):
        await away.open_store(store.id)
    await away.close()


async def _row(store: Shelf, file_id: str) -> VectorStoreFile | None:
    async with store.database.unit(store.scope) as unit:
        return await unit.get(VectorStoreFile, (store.id, file_id))
