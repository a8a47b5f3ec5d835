"""The store and its files, against plain numpy."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadRequest, ConfigurationError, Internal
from retrieval.index import changes, snapshot
from retrieval.index.faiss import CpuIndex, GpuIndex, index_class
from retrieval.index.protocol import Metric, Shape
from retrieval.index.store import Store

SHAPE = Shape(8, Metric.INNER_PRODUCT)


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, SHAPE.dimensions)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.mark.parametrize("metric", list(Metric))
def test_search_finds_what_numpy_finds(folder: Path, metric: Metric) -> None:
    store = Store.create(folder, Shape(8, metric))
    known, queries = vectors(200), vectors(5, seed=1)
    store.add(np.arange(200) * 3, known)
    found = store.search(queries, 10)
    if metric is Metric.COSINE:
        known, queries = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (known, queries))
    scores = -((queries[:, None] - known[None]) ** 2).sum(2) if metric is Metric.L2 else queries @ known.T
    order = np.argsort(-scores, axis=1)[:, :10]
    assert np.array_equal(found.ids, order * 3)
    assert np.allclose(found.scores, np.take_along_axis(scores, order, 1), atol=1e-4)


def test_fewer_than_k_is_filled_up(folder: Path) -> None:
    store = Store.create(folder, SHAPE)
    assert store.search(vectors(1), 3).ids.tolist() == [[-1, -1, -1]]
    store.add([7], vectors(1))
    found = store.search(vectors(1), 2)
    assert found.ids.tolist() == [[7, -1]]
    assert found.scores[0, 1] == -np.inf


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["add", "delete", "snapshot", "reopen"]), st.sets(st.integers(0, 20), max_size=6)),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_any_order_of_changes_and_restarts_is_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, set[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("stores") / "store"
    store, expected = Store.create(folder, SHAPE), dict[int, np.ndarray]()
    for number, (action, ids) in enumerate(actions):
        if action == "add":
            new = vectors(len(ids), seed=number)
            store.add(sorted(ids), new.reshape(-1, SHAPE.dimensions))
            expected.update(zip(sorted(ids), new, strict=True))
        elif action == "delete":
            store.delete(np.array(sorted(ids), np.int64))
            for each in ids:
                expected.pop(each, None)
        elif action == "snapshot":
            store.snapshot()
        else:
            store.close()
            store = Store.open(folder)
        assert store.size == len(expected)
    for each, vector in expected.items():
        scores = {other: float(vector @ known) for other, known in expected.items()}
        best = max(scores.values())
        found = store.search(vector[None], 1)
        assert scores[int(found.ids[0, 0])] == pytest.approx(best, abs=1e-3), each
    store.close()


def test_a_torn_tail_is_dropped_and_what_was_acknowledged_stays(folder: Path) -> None:
    store = Store.create(folder, SHAPE)
    store.add([1, 2], vectors(2))
    store.add([3], vectors(1))
    store.close()
    (path,) = changes.logs_in(folder)
    os.truncate(path, path.stat().st_size - 5)
    again = Store.open(folder)
    assert (again.size, again.seq) == (2, 1)
    again.add([4], vectors(1, seed=4))
    again.close()
    assert Store.open(folder).size == 3


@pytest.mark.parametrize("harm", ["cut", "flipped", "no head"])
def test_a_broken_snapshot_is_passed_over_without_loss(folder: Path, harm: str) -> None:
    store = Store.create(folder, SHAPE)
    store.add([1, 2], vectors(2))
    store.snapshot()
    store.add([3], vectors(1, seed=3))
    store.close()
    newest = snapshot.all_in(folder)[0]
    content = bytearray(newest.read_bytes())
    if harm == "flipped":
        content[-1] ^= 1
    newest.write_bytes(bytes({"cut": content[:-10], "flipped": content, "no head": bytes(50)}[harm]))
    again = Store.open(folder)
    assert (again.size, again.seq) == (3, 2)


def test_no_readable_snapshot_is_an_error(folder: Path) -> None:
    Store.create(folder, SHAPE).close()
    snapshot.all_in(folder)[0].write_bytes(b"")
    with pytest.raises(Internal):
        Store.open(folder)


def test_two_generations_are_kept(folder: Path) -> None:
    store = Store.create(folder, SHAPE)
    for number in range(5):
        store.add([number], vectors(1, seed=number))
        store.snapshot()
    assert len(snapshot.all_in(folder)) == 2
    assert len(changes.logs_in(folder)) == 2
    store.destroy()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("ids", "given"),
    [
        ([1], [[1.0] * 7]),
        ([1], [[float("nan")] * 8]),
        ([1], [[1e39] * 8]),
        ([1, 1], vectors(2)),
        ([-1], vectors(1)),
        ([1, 2], vectors(1)),
        (["a"], vectors(1)),
        ([1.5], vectors(1)),
        ([1], "text"),
        ([1], [[1.0], [1.0, 2.0]]),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(folder: Path, ids: object, given: object) -> None:
    store = Store.create(folder, SHAPE)
    with pytest.raises(BadRequest), np.errstate(over="ignore"):
        store.add(ids, given)
    assert (store.size, store.seq) == (0, 0)


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_k_has_bounds(folder: Path, k: int) -> None:
    with pytest.raises(BadRequest):
        Store.create(folder, SHAPE).search(vectors(1), k)


def test_a_zero_vector_has_no_cosine(folder: Path) -> None:
    with pytest.raises(BadRequest):
        Store.create(folder, Shape(8, Metric.COSINE)).add([1], np.zeros((1, 8)))


def test_the_device_chooses_the_class() -> None:
    assert index_class("auto", gpus=0) is CpuIndex
    assert index_class("cpu", gpus=2) is CpuIndex
    assert index_class("auto", gpus=1) is GpuIndex
    assert index_class("gpu", gpus=1) is GpuIndex
    with pytest.raises(ConfigurationError, match="auto"):
        index_class("gpu", gpus=0)
