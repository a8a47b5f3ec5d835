"""A store over two shards: each follows its part of the real feed, and together they answer as one replica would."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.control.feed import StoreFeed
from api.db.session import Database
from configs.errors import BadRequest, NotFound, Unavailable
from retrieval.collection import Query
from retrieval.feed import Changes
from retrieval.filters import parse
from retrieval.shards import Shard
from serving.sharded import ShardedFinder
from tests.fixtures.shelves import Replica, Shelf, about, near, remove, row_of, vector

SHARDS = [Shard(0, 2), Shard(1, 2)]


@pytest.fixture
async def replicas(feed: StoreFeed, tmp_path: Path) -> AsyncIterator[list[Replica]]:
    made = [Replica(feed, tmp_path / "shards", shard) for shard in SHARDS]
    yield made
    for each in made:
        each.threads.shutdown()


@pytest.fixture
def finder(replicas: list[Replica]) -> ShardedFinder:
    return ShardedFinder([each.following for each in replicas])


async def found(finder: ShardedFinder, store: Shelf, asked: Query, seq: int = 0) -> list[int]:
    (hits,) = await finder.find(store.id, seq, [asked])
    return [hit.chunk_id for hit in hits]


async def sent(feed: StoreFeed, store: Shelf, after: int, shard: Shard) -> Changes:
    found = await feed.changes(store.id, after, shard=shard)
    assert found is not None
    return found


async def test_each_shard_is_sent_its_own_chunks_and_no_other(store: Shelf, feed: StoreFeed) -> None:
    file_id = await store.file()
    first = await store.chunks(file_id, list("abcde"), [vector(n) for n in range(5)])
    gone = await store.filled(5, 6)
    parts = [await sent(feed, store, 0, shard) for shard in SHARDS]
    assert [[chunk.id for chunk in part.chunks] for part in parts] == [[0, 2, 4], [1, 3, 5]]
    assert [part.seq for part in parts] == [first, parts[1].head]  # a page is of three
    await remove(store, await row_of(store, gone))
    last = [await sent(feed, store, parts[1].seq, shard) for shard in SHARDS]
    assert [part.removed for part in last] == [[6], [5]]
    assert last[0].seq == last[1].seq > parts[1].seq


async def test_a_shard_stands_at_a_change_that_holds_nothing_of_it(
    store: Shelf, replicas: list[Replica], finder: ShardedFinder
) -> None:
    seq = await store.chunks(await store.file(), ["one"], [vector(0)])
    assert await found(finder, store, near(0), seq) == [0]
    told = [each.following.stats()[store.id] for each in replicas]
    assert [(each["chunks"], each["seq"]) for each in told] == [(1, seq), (0, seq)]
    file_id = await store.file()
    seq = [await store.chunks(file_id, ["more"], [vector(n)], first=n) for n in range(4)][-1]
    assert sorted(await found(finder, store, about("more"), seq)) == [1, 2, 3, 4]
    assert {each.following.stats()[store.id]["seq"] for each in replicas} == {seq}


async def test_together_they_answer_as_one(store: Shelf, finder: ShardedFinder, replica: Replica) -> None:
    files = [await store.filled(*range(start, start + 7)) for start in range(0, 42, 7)]
    await remove(store, await row_of(store, files[2]))
    seq = await store.describe(files[3], {"n": 1.0})
    filters = [None, parse({"type": "in", "key": "n", "value": [0.0, 1.0]})]
    asked = [Query(vector(n), filter=only, k=9) for n in range(10) for only in filters]
    for query in asked:
        assert await found(finder, store, query, seq) == await replica.found(store.id, query, seq)
    assert len(await finder.find(store.id, seq, asked)) == len(asked)
    assert await found(finder, store, about("word30"), seq) == await replica.found(store.id, about("word30"), seq)


async def test_a_shard_that_is_away_is_said_and_no_part_is_shown(
    store: Shelf, replicas: list[Replica], tmp_path: Path
) -> None:
    await store.filled(*range(4))
    silent = StoreFeed(Database("postgresql://127.0.0.1:1/none"), store.vault)
    away = Replica(silent, tmp_path / "shards", SHARDS[1])
    with pytest.raises(Unavailable):
        await ShardedFinder([replicas[0].following, away.following]).find(store.id, 0, [near(0)])
    await away.end()
    await silent.close()


async def test_what_one_refuses_they_refuse(store: Shelf, finder: ShardedFinder) -> None:
    await store.filled(1)
    with pytest.raises(BadRequest):
        await finder.find(store.id, 0, [near(1, 0)])
    with pytest.raises(NotFound):
        await finder.find("vs_none", 0, [near(1)])


async def test_snapshots_serve_only_the_shard_that_wrote_them(
    store: Shelf, feed: StoreFeed, replicas: list[Replica], finder: ShardedFinder, tmp_path: Path
) -> None:
    await store.filled(*range(6))
    before = await found(finder, store, near(3))
    for each in replicas:
        await each.following.close()
    again = [Replica(feed, tmp_path / "shards", shard) for shard in SHARDS]
    key = await feed.open_store(store.id)
    assert [loaded.size for each in again if (loaded := each.snapshots.load(key))] == [3, 3]
    assert await found(ShardedFinder([each.following for each in again]), store, near(3)) == before
    more = [Replica(feed, tmp_path / "shards", Shard(number, 3)) for number in range(3)]
    assert all(each.snapshots.load(key) is None for each in more)
    assert await found(ShardedFinder([each.following for each in more]), store, near(3)) == before
    for each in [*again, *more]:
        each.threads.shutdown()
