"""Snapshots of collections: what they save, and what is not believed."""

from pathlib import Path

import pytest

from api.control.feed import StoreFeed
from configs.postgres import EmbeddedPostgres
from retrieval import followed
from tests.fixtures.shelves import Replica, Shelf, near, remove, row_of, until, vector


async def test_after_an_orderly_end_only_the_rest_is_read(
    store: Shelf, feed: StoreFeed, replica: Replica, tmp_path: Path
) -> None:
    gone = await store.filled(1, 2)
    await replica.found(store.id, near(1))
    known = replica.following.stats()[store.id]["seq"]
    await replica.following.close()
    await store.filled(3)
    await remove(store, await row_of(store, gone))
    again = Replica(feed, tmp_path / "search")
    loaded = again.snapshots.load(await feed.open_store(store.id))
    assert loaded is not None
    assert (loaded.seq, loaded.size) == (known, 2)
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
    ((_, seq),) = replica.snapshots.places()
    (folder / f"{store.id}.{seq}.snapshot").rename(folder / f"{other.id}.{seq}.snapshot")
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


async def test_many_changes_are_melted_and_saved(
    store: Shelf, replica: Replica, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(followed, "SAVE_AFTER", 10)
    await store.filled(*range(12))
    assert len(await replica.found(store.id, near(1), 1)) == 10
    await until(lambda: bool(replica.snapshots.stores()))


async def test_what_was_removed_lies_in_no_snapshot(
    store: Shelf, feed: StoreFeed, replica: Replica, tmp_path: Path, postgres: EmbeddedPostgres
) -> None:
    gone = await store.filled(1, 2)
    await store.filled(3)
    await replica.found(store.id, near(1))
    await replica.following.close()
    await remove(store, await row_of(store, gone))
    asleep = Replica(feed, tmp_path / "search")
    await asleep.following.sweep()
    assert asleep.snapshots.stores() == []
    seq = (await feed.heads([store.id]))[store.id]
    assert await replica.found(store.id, near(1), seq) == [2]
    await replica.following.close()
    saved = replica.snapshots.load(await feed.open_store(store.id))
    assert saved is not None
    assert (saved.size, saved.holds_dead) == (1, False)
    assert [name for name in saved.content().files if not name.startswith("-")] != [gone]
    assert gone not in saved.content().files


async def test_a_file_of_another_name_is_left_alone(store: Shelf, replica: Replica, tmp_path: Path) -> None:
    (tmp_path / "search" / "a copy.old.snapshot").write_bytes(b"")
    await store.filled(1)
    await replica.found(store.id, near(1))
    await replica.following.sweep()
    assert (tmp_path / "search" / "a copy.old.snapshot").exists()
