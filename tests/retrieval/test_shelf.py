"""Snapshots that were cut, flipped or exchanged are never believed, and never harm who reads them."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from configs.errors import ConfigurationError, NotFound
from retrieval.collection import Collection, Entry, Query
from retrieval.feed import StoreKey
from retrieval.index.protocol import Shape
from retrieval.shards import WHOLE, Shard
from retrieval.shelf import Shelf, empty

D = 12
STORE = StoreKey("vs_a", "org", D, bytes(32))


def filled(count: int = 2000, budget_bytes: int | None = None) -> Collection:
    """Enough for a quantized index where there is a budget."""
    vectors = np.random.default_rng(0).normal(size=(count, D)).astype(np.float32)
    collection = Collection(Shape(D), budget_bytes)
    collection.apply(7, [Entry(id_, vectors[id_ : id_ + 1], ["word"], "f") for id_ in range(count)], (), {"f": {}})
    collection.compact()
    return collection


@pytest.fixture(scope="module", params=[None, 1], ids=["flat", "quantized"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("shelf")
    Shelf(folder).save(STORE, filled(budget_bytes=request.param))
    return (folder / "vs_a.7.snapshot").read_bytes()


def test_what_was_saved_answers_as_before(tmp_path: Path) -> None:
    before = filled()
    shelf = Shelf(tmp_path / "search")
    shelf.save(STORE, before)
    after = shelf.load(STORE)
    assert after is not None
    assert after.seq == 7
    query = Query(np.ones(D, np.float32), ["word"])
    assert [hit.chunk_id for hit in after.search(query)] == [hit.chunk_id for hit in before.search(query)]
    assert [path.name for path in (tmp_path / "search").iterdir()] == ["vs_a.7.snapshot"]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Cut, flipped, lengthened, or a stretch of it moved or repeated."""
    place, length = chance.randrange(len(data)), chance.randrange(1, 400)
    match chance.randrange(5):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]
        case 2:
            return data + chance.randbytes(length)
        case 3:
            return data[:place] + chance.randbytes(length) + data[place + length :]
        case _:
            return data[:place] + data[place + length :]


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.deep)])
def test_a_mutated_snapshot_is_refused(saved: bytes, tmp_path: Path, count: int) -> None:
    shelf, chance = Shelf(tmp_path), random.Random(count)
    for _ in range(count):
        changed = mutated(saved, chance)
        (tmp_path / "vs_a.7.snapshot").write_bytes(changed)
        assert changed == saved or shelf.load(STORE) is None


def test_only_its_own_store_opens_it(saved: bytes, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for name in ("vs_a", "vs_b"):
        (tmp_path / f"{name}.7.snapshot").write_bytes(saved)
    others = [
        StoreKey("vs_b", "org", D, STORE.key),
        StoreKey("vs_a", "other", D, STORE.key),
        StoreKey("vs_a", "org", D, bytes(31) + b"\1"),
    ]
    assert [shelf.load(each) for each in others] == [None] * 3
    assert shelf.load(STORE) is not None
    shelf.remove("vs_a")
    assert shelf.stores() == ["vs_b"]
    assert shelf.load(STORE) is None


def test_what_a_killed_process_left_behind_is_cleared(tmp_path: Path) -> None:
    old, young = tmp_path / ".vs_a.7.snapshot.0011", tmp_path / ".vs_b.7.snapshot.0022"
    for draft in (old, young):
        draft.write_bytes(b"half")
    os.utime(old, (0, 0))
    Shelf(tmp_path)
    assert list(tmp_path.iterdir()) == [young]  # another replica may be writing it


def test_a_name_that_is_none_reaches_no_file(tmp_path: Path) -> None:
    for name in ("../up", "", "a/b", "a" * 200):
        with pytest.raises(NotFound):
            Shelf(tmp_path).remove(name)


def test_one_that_lags_replaces_no_newer_one_and_each_is_forgotten_by_its_change(tmp_path: Path) -> None:
    shelf, collection = Shelf(tmp_path), filled(10)
    shelf.save(STORE, collection)
    older = (tmp_path / "vs_a.7.snapshot").read_bytes()
    collection.apply(9)
    shelf.save(STORE, collection)
    assert shelf.places() == [("vs_a", 9)]
    (tmp_path / "vs_a.7.snapshot").write_bytes(older)
    assert [loaded.seq for loaded in [shelf.load(STORE)] if loaded] == [9]
    shelf.forget("vs_a", 7)
    assert shelf.places() == [("vs_a", 9)]
    (tmp_path / "vs_a.9.snapshot").rename(tmp_path / "vs_a.10.snapshot")
    assert shelf.load(STORE) is None


def test_what_holds_removed_chunks_is_not_written(tmp_path: Path) -> None:
    shelf, collection = Shelf(tmp_path), filled(10)
    collection.apply(8, removed=[3])
    assert not shelf.save(STORE, collection)
    assert shelf.places() == []
    collection.compact()
    assert shelf.save(STORE, collection)
    assert shelf.places() == [("vs_a", 8)]


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "search")
    (tmp_path / "search").rmdir()
    with pytest.raises(ConfigurationError, match="cannot use"):
        shelf.save(STORE, filled(10))


def test_a_shard_takes_no_snapshot_of_another(tmp_path: Path) -> None:
    first, second = (Shelf(tmp_path, shard=Shard(number, 2)) for number in range(2))
    first.save(STORE, filled(20))
    assert first.stores() == ["vs_a"]
    assert second.stores() == []
    (tmp_path / "0-of-2" / "vs_a.7.snapshot").rename(tmp_path / "1-of-2" / "vs_a.7.snapshot")
    assert second.load(STORE) is None
    (tmp_path / "1-of-2" / "vs_a.7.snapshot").rename(tmp_path / "0-of-2" / "vs_a.7.snapshot")
    assert first.load(STORE) is not None


@pytest.mark.parametrize("before", [WHOLE, Shard(1, 2), Shard(3, 4)])
@pytest.mark.parametrize("after", [WHOLE, Shard(0, 2), Shard(0, 4)])
def test_snapshots_of_another_number_of_shards_are_removed(tmp_path: Path, before: Shard, after: Shard) -> None:
    (tmp_path / "a copy.old.snapshot").write_bytes(b"")
    Shelf(tmp_path, shard=before).save(STORE, filled(20))
    kept = Shelf(tmp_path, shard=after)
    left = [path for path in tmp_path.rglob("vs_a*") if path.is_file()]
    assert bool(left) == (before.count == after.count)
    assert (kept.load(STORE) is not None) == (before == after)
    assert (tmp_path / "a copy.old.snapshot").exists()


def left_behind(folder: Path) -> list[Path]:
    """Snapshots of other shards, whole and half written, and something of somebody else."""
    (folder / "3-of-4").mkdir()
    paths = [folder / "3-of-4" / "vs_a.7.snapshot", folder / "vs_a.7.snapshot", folder / ".vs_a.7.snapshot.0011"]
    for path in (*paths, folder / "a copy.old.snapshot"):
        path.write_bytes(b"any")
        os.utime(path, (0, 0))
    return paths


def test_what_ending_replicas_of_other_shards_left_is_removed_at_each_look(tmp_path: Path) -> None:
    kept = Shelf(tmp_path, shard=Shard(0, 2))
    kept.save(STORE, filled(20))
    paths = left_behind(tmp_path)
    kept.clear()
    assert not [path for path in paths if path.exists()]
    assert kept.places() == [("vs_a", 7)]
    assert (tmp_path / "a copy.old.snapshot").exists()


def test_an_emptied_folder_holds_no_snapshot(tmp_path: Path) -> None:
    left_behind(tmp_path)
    (tmp_path / ".vs_b.7.snapshot.0022").write_bytes(b"half")
    empty(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a copy.old.snapshot"]
    empty(tmp_path / "none")
