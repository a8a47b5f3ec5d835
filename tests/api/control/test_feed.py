"""Rows of vector stores, the feed of their changes, and collections that follow it: all of it real, in one process."""

import asyncio
from datetime import UTC, datetime, timedelta

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
from retrieval.feed import Changes
from retrieval.filters import parse
from retrieval.shards import Shard
from tests.fixtures.database import query
from tests.fixtures.shelves import Replica, Shelf, about, near, remove, row_of, until, vector


async def head(store: Shelf) -> int:
    async with store.jobs.unit() as unit:
        return (await queries.heads(unit, [store.id]))[store.id]


async def test_what_was_written_is_found_by_vector_and_by_word(store: Shelf, replica: Replica) -> None:
    await store.filled(*range(5))
    await store.filled(*range(5, 12))
    assert (await replica.found(store.id, near(7, 1))) == [7]
    assert await replica.found(store.id, about("word3")) == [3]
    told = replica.following.stats()[store.id]
    assert told.pop("bytes") > 12 * 4 * 8
    assert told == {"chunks": 12, "seq": await head(store), "dimensions": 8}


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
    await remove(store, await row_of(store, gone))
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
    middle = await head(store)
    await store.filled(8)
    first = await feed.changes(store.id, 0)
    assert first is not None
    assert (first.seq, first.head, len(first.chunks)) == (middle, await head(store), 8)
    second = await feed.changes(store.id, first.seq, first.head)
    assert second is not None
    assert (second.seq, [chunk.id for chunk in second.chunks]) == (first.head, [8])


async def test_who_stood_before_forgotten_removals_begins_anew(store: Shelf, replica: Replica, jobs: Database) -> None:
    gone = await store.filled(1, 2)
    await store.filled(3)
    assert len(await replica.found(store.id, near(1))) == 3
    await remove(store, await row_of(store, gone))
    async with jobs.unit() as unit:
        assert await queries.forget_changes(unit, datetime.now(UTC) + timedelta(seconds=1)) >= 2
    await store.filled(4)
    assert set(await replica.found(store.id, near(1), await head(store))) == {2, 3}


async def test_a_store_whose_changes_are_forgotten_is_read_in_pages(
    store: Shelf, replica: Replica, jobs: Database
) -> None:
    """The end of a page is a change of long ago."""
    gone = await store.filled(1, 2)
    for number in range(3, 12):
        await store.filled(number)
    await remove(store, await row_of(store, gone))
    await store.filled(12)
    async with jobs.unit() as unit:
        await queries.forget_changes(unit, datetime.now(UTC) + timedelta(seconds=1))
    assert set(await replica.found(store.id, near(1, 20))) == set(range(2, 12))
    await store.filled(13)
    assert set(await replica.found(store.id, near(1, 20), await head(store))) == set(range(2, 13))


async def test_a_store_that_is_gone_is_not_found_and_leaves_no_snapshot(store: Shelf, replica: Replica) -> None:
    await store.filled(1)
    assert await replica.found(store.id, near(1)) == [0]
    await replica.following.close()
    assert replica.snapshots.stores() == [store.id]
    async with store.database.unit(store.scope) as unit:
        row = await unit.get(VectorStore, store.id)
    await remove(store, row)
    with pytest.raises(NotFound):
        await replica.found(store.id, near(1), 2**62)
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


async def test_a_database_that_is_away_is_said(store: Shelf) -> None:
    away = StoreFeed(Database("postgresql://127.0.0.1:1/none"), store.vault)
    with pytest.raises(Unavailable):
        await away.open_store(store.id)
    await away.close()


async def test_who_waits_while_another_reads_asks_no_more(
    store: Shelf, replica: Replica, feed: StoreFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.filled(1)
    await replica.found(store.id, near(1))
    before, asked, read = await head(store), [], feed.changes
    seq = await store.chunks(await store.file(), ["new"], [vector(50)])

    async def counted(store_id: str, after: int, seen: int, shard: Shard) -> Changes | None:
        asked.append(after)
        return await read(store_id, after, seen, shard)

    monkeypatch.setattr(feed, "changes", counted)
    found = await asyncio.gather(*(replica.found(store.id, about("new"), seq) for _ in range(20)))
    assert found == [[1]] * 20
    assert asked == [before]
