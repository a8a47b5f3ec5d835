import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrieval.store
from configs.errors import BadRequest, Unavailable
from retrieval import changes
from retrieval.index.protocol import Kind, Metric, Shape
from retrieval.store import Lost, Store
from tests.fixtures.stores import SHAPE, add, content


def reopened(store: Store, folder: Path) -> Store:
    store.close()
    return Store.open(folder)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path, SHAPE)


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("kind", list(Kind))
def test_changes_are_there_again_without_a_snapshot(tmp_path: Path, metric: Metric, kind: Kind) -> None:
    store = Store.create(tmp_path, Shape(3, metric, kind))
    add(store, 1, 2, 3)
    assert store.delete([2, 9]) == 1
    store.add([1], [[0, 5, 0]])
    before = store.search([[0, 5, 0], [3, 2, 1]], 3)
    again = reopened(store, tmp_path)
    assert again.shape == Shape(3, metric, kind)
    for found, expected in zip(again.search([[0, 5, 0], [3, 2, 1]], 3), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_snapshot_ends_the_log_and_two_are_kept(tmp_path: Path, store: Store) -> None:
    for round_ in range(4):
        add(store, round_)
        assert store.snapshot()
        assert store.stats().log_bytes == 0
    assert not store.snapshot()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["00000004.changes", "00000004.snapshot", "00000005.changes", "00000005.snapshot"]
    add(store, 9)
    assert content(reopened(store, tmp_path)) == [0, 1, 2, 3, 9]


@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: data[:-1] + b"\0", lambda data: data[:0]])
def test_a_damaged_snapshot_costs_no_change(tmp_path: Path, store: Store, harm: Callable[[bytes], bytes]) -> None:
    add(store, 1)
    store.snapshot()
    add(store, 2)
    store.snapshot()
    add(store, 3)
    path = tmp_path / "00000003.snapshot"
    path.write_bytes(harm(path.read_bytes()))
    again = reopened(store, tmp_path)
    assert content(again) == [1, 2, 3]
    add(again, 4)
    again = reopened(again, tmp_path)
    assert content(again) == [1, 2, 3, 4]
    assert again.snapshot()
    add(again, 5)
    assert again.snapshot()
    assert content(reopened(again, tmp_path)) == [1, 2, 3, 4, 5]
    assert not list(tmp_path.glob("*.refused"))


def test_without_a_good_snapshot_a_store_is_not_taken_for_empty(tmp_path: Path, store: Store) -> None:
    add(store, 1)
    store.close()
    (tmp_path / "00000001.snapshot").write_bytes(b"")
    with pytest.raises(Lost, match="no good snapshot"):
        Store.open(tmp_path)


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(1, 60), junk=st.binary(max_size=40))
def test_a_torn_tail_is_dropped(tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("torn")
    store = Store.create(folder, SHAPE)
    add(store, 1)
    add(store, 2)
    whole = store.stats().log_bytes
    add(store, 3)
    store.close()
    path = folder / "00000001.changes"
    data = path.read_bytes()
    path.write_bytes(data[: max(whole, len(data) - cut)] + junk.replace(b"MCL1", b""))
    again = Store.open(folder)
    assert content(again) == [1, 2] if len(data) - cut < len(data) else [1, 2, 3]
    assert path.stat().st_size == whole
    add(again, 4)
    assert content(reopened(again, folder)) == [1, 2, 4]


@pytest.mark.parametrize("log", ["00000001.changes", "00000002.changes"])
def test_a_damaged_middle_is_refused_where_it_is_needed(tmp_path: Path, store: Store, log: str) -> None:
    for round_ in range(2):
        add(store, round_)
        add(store, round_ + 10)
        if not round_:
            store.snapshot()
    store.close()
    path = tmp_path / log
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    if log == "00000001.changes":
        assert content(Store.open(tmp_path)) == [0, 1, 10, 11]  # the newest snapshot holds it
        (tmp_path / "00000002.snapshot").write_bytes(b"")
    with pytest.raises(Lost, match="damaged at byte 0"):
        Store.open(tmp_path)


def test_a_full_disk_changes_nothing(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, 1)
    real, calls = os.pwrite, []

    def full(fd: int, data: bytes, place: int) -> int:
        calls.append(place)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data[:10], place)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(Unavailable, match="disk is full"):
        add(store, 2)
    monkeypatch.undo()
    assert not store.broken
    assert content(store) == [1]
    add(store, 3)
    assert content(reopened(store, tmp_path)) == [1, 3]


def test_after_a_failed_fsync_nothing_is_taken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(Unavailable):
        add(store, 1)
    monkeypatch.undo()
    assert store.broken
    with pytest.raises(Unavailable, match="being read again"):
        add(store, 2)


@pytest.mark.parametrize("good_calls", [0, 1, 2])
def test_a_snapshot_that_fails_leaves_the_log(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, good_calls: int
) -> None:
    """fsync is asked for the folder of the new log, the snapshot, and the snapshot's folder, in that order."""
    real, calls = os.fsync, []

    def fail(fd: int) -> None:
        calls.append(fd)
        if len(calls) > good_calls:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    add(store, 1)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unavailable):
        store.snapshot()
    monkeypatch.undo()
    if good_calls == 2:  # the snapshot may or may not be there after a power cut
        assert store.broken
        assert content(reopened(store, tmp_path)) == [1]
        return
    add(store, 2)
    with (tmp_path / "00000001.changes").open("ab") as log:
        log.write(b"torn")
    again = reopened(store, tmp_path)
    assert content(again) == [1, 2]
    add(again, 3)
    assert again.snapshot()
    assert content(reopened(again, tmp_path)) == [1, 2, 3]


@pytest.mark.parametrize(("kind", "limit"), [(Kind.FLAT, "LOG_BYTES"), (Kind.HNSW, "GRAPH_LOG_BYTES")])
def test_a_long_log_asks_for_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, limit: str
) -> None:
    monkeypatch.setattr(retrieval.store, limit, 400)
    store = Store.create(tmp_path, Shape(3, Metric.L2, kind))
    wanted = []
    for change in (lambda: add(store, 1), lambda: add(store, *range(20)), store.snapshot):
        change()
        wanted.append(store.wants_snapshot)
    assert wanted == [False, True, False]


def test_bad_input_reaches_neither_log_nor_index(store: Store) -> None:
    for ids, vectors in (([1, 2], [[1, 2, 3]]), ([1], [[1, 2]]), ([-1], [[1, 2, 3]]), ([1], [[1, 2, np.nan]])):
        with pytest.raises(BadRequest):
            store.add(ids, vectors)
    with pytest.raises(BadRequest, match="neighbours at once"):
        store.search(np.zeros((1000, 3)), 10_000)
    assert store.add([], np.empty((0, 3))) == 0
    assert store.delete([]) == 0
    assert store.stats().log_bytes == store.stats().size == 0


def test_searches_beside_changes_see_whole_changes(store: Store) -> None:
    """Pairs come and go together, so a search finds both or none."""
    stop = threading.Event()
    odd: list[int] = []

    def look() -> None:
        while not stop.is_set():
            ids, _ = store.search([[0, 0, 0]], 100)
            odd.extend([1] * (int((ids >= 0).sum()) % 2))

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for round_ in range(60):
        add(store, round_, round_ + 100)
        if round_ % 2:
            store.delete([round_, round_ + 100])
        if round_ % 20 == 0:
            store.snapshot()
    stop.set()
    for reader in readers:
        reader.join()
    assert not odd
    assert len(content(store)) == 60


def test_changes_round_trip() -> None:
    change = changes.Change(np.array([1, 2]), np.array([[1, 2], [3, 4]], np.float32))
    back = changes.Change.decode(change.encode())
    assert back.vectors is not None
    assert change.vectors is not None
    np.testing.assert_array_equal(back.ids, change.ids)
    np.testing.assert_array_equal(back.vectors, change.vectors)
    assert changes.Change.decode(changes.Change(change.ids).encode()).vectors is None
