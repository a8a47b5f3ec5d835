import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import BadRequest, ConfigurationError
from retrieval.index import checks, faiss
from retrieval.index.protocol import MAX_K, NO_ID, Ids, Index, Kind, Metric, Shape, Vectors

METRICS = list(Metric)


class BruteForce:
    """The same contract in numpy and float64."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.vectors: dict[int, Any] = {}

    def add(self, ids: Ids, vectors: Vectors) -> None:
        self.vectors.update(zip(ids.tolist(), vectors.astype(np.float64), strict=True))

    def delete(self, ids: Ids) -> int:
        before = len(self.vectors)
        for id_ in ids.tolist():
            self.vectors.pop(id_, None)
        return before - len(self.vectors)

    def scores(self, query: Any) -> dict[int, float]:
        return {id_: self.score(query.astype(np.float64), vector) for id_, vector in self.vectors.items()}

    def score(self, query: Any, vector: Any) -> float:
        if self.shape.metric is Metric.L2:
            return float(((query - vector) ** 2).sum())
        product = float(query @ vector)
        return product / float(np.linalg.norm(query) * np.linalg.norm(vector)) if self._is_cosine else product

    @property
    def _is_cosine(self) -> bool:
        return self.shape.metric is Metric.COSINE


def best_first(scores: dict[int, float], metric: Metric) -> list[float]:
    return sorted(scores.values(), reverse=metric is not Metric.L2)


def vectors_of(seed: int, count: int, dimensions: int) -> Vectors:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def assert_same(index: Index, truth: BruteForce, queries: Vectors, k: int) -> None:
    ids, scores = index.search(queries, k)
    assert ids.shape == scores.shape == (len(queries), k)
    for query, row, row_scores in zip(queries, ids, scores, strict=True):
        true = truth.scores(query)
        found = [id_ for id_ in row.tolist() if id_ != NO_ID]
        assert len(found) == len(set(found)) == min(k, len(true))
        best = best_first(true, index.shape.metric)[:k]
        np.testing.assert_allclose(row_scores[: len(found)], best, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose([true[id_] for id_ in found], best, rtol=1e-4, atol=1e-4)
        assert (row[len(found) :] == NO_ID).all()
        assert (row_scores[len(found) :] == index.shape.metric.worst).all()


CHANGES = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(0, 30), max_size=12), st.integers(0, 2**16)), max_size=12
)


@settings(max_examples=80, deadline=None)
@given(changes=CHANGES, metric=st.sampled_from(METRICS), dimensions=st.integers(1, 9), k=st.integers(1, 40))
def test_flat_is_brute_force_after_any_changes(changes: Any, metric: Metric, dimensions: int, k: int) -> None:
    shape = Shape(dimensions, metric)
    index, truth = faiss.create(shape), BruteForce(shape)
    for is_add, ids, seed in changes:
        each = np.array(ids, np.int64)
        if is_add:
            vectors = vectors_of(seed, len(each), dimensions)
            index.add(each, vectors)
            truth.add(each, vectors)
        else:
            assert index.delete(each) == truth.delete(each)
        assert index.size == len(truth.vectors)
    assert_same(index, truth, vectors_of(1, 3, dimensions), k)
    assert_same(index, truth, vectors_of(2, 25, dimensions), k)  # from 20 queries on FAISS takes another path


@settings(max_examples=25, deadline=None)
@given(changes=CHANGES, metric=st.sampled_from(METRICS))
def test_a_graph_answers_with_living_ids_and_their_true_scores(changes: Any, metric: Metric) -> None:
    shape = Shape(6, metric, Kind.HNSW)
    index, truth = faiss.create(shape), BruteForce(shape)
    for is_add, ids, seed in changes:
        each = np.array(ids, np.int64)
        vectors = vectors_of(seed, len(each), 6)
        if is_add:
            index.add(each, vectors)
            truth.add(each, vectors)
        else:
            assert index.delete(each) == truth.delete(each)
        assert index.size == len(truth.vectors)
    known = set(truth.vectors)
    ids_found, scores = index.search(vectors_of(1, 3, 6), 5)
    for query, row, row_scores in zip(vectors_of(1, 3, 6), ids_found, scores, strict=True):
        true = truth.scores(query)
        found = [id_ for id_ in row.tolist() if id_ != NO_ID]
        assert set(found) <= known
        np.testing.assert_allclose(row_scores[: len(found)], [true[id_] for id_ in found], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_the_graph_finds_nearly_all_neighbours(metric: Metric) -> None:
    vectors, queries = vectors_of(3, 2000, 16), vectors_of(4, 50, 16)
    ids = np.arange(2000, dtype=np.int64)
    found = []
    for kind in Kind:
        index = faiss.create(Shape(16, metric, kind))
        index.add(ids, vectors)
        found.append(index.search(queries, 10)[0])
    same = sum(len(set(a) & set(b)) for a, b in zip(*(rows.tolist() for rows in found), strict=True))
    assert same >= 0.95 * found[0].size


def test_a_graph_with_mostly_dead_rows_is_built_anew() -> None:
    index = faiss.create(Shape(4, Metric.L2, Kind.HNSW))
    ids, vectors = np.arange(1500, dtype=np.int64), vectors_of(5, 1500, 4)
    index.add(ids, vectors)
    assert isinstance(index, faiss.HnswIndex)
    assert index.delete(ids[:1100]) == 1100
    assert index._index.ntotal == index.size == 400
    np.testing.assert_array_equal(index.search(vectors[1100:1110], 1)[0][:, 0], ids[1100:1110])


@pytest.mark.parametrize("kind", list(Kind))
def test_an_id_that_is_added_again_has_the_new_vector(kind: Kind) -> None:
    index = faiss.create(Shape(2, Metric.IP, kind))
    index.add(np.array([7, 7]), np.array([[9, 0], [1, 0]], np.float32))
    assert index.search(np.array([[1, 0]], np.float32), 1)[1][0, 0] == 1
    index.add(np.array([7]), np.array([[0, 3]], np.float32))
    assert index.size == 1
    ids, scores = index.search(np.array([[0, 1]], np.float32), 2)
    assert ids.tolist() == [[7, NO_ID]]
    assert scores.tolist() == [[3, -np.inf]]


def test_cosine_of_tiny_and_huge_vectors() -> None:
    index = faiss.create(Shape(2))
    index.add(np.array([1, 2]), np.array([[1e-30, 0], [0, 1e15]], np.float32))
    np.testing.assert_allclose(index.search(np.array([[1e-38, 0]], np.float32), 2)[1], [[1, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "kind", "gpus", "expected"),
    [
        ("auto", Kind.FLAT, 0, "cpu"),
        ("auto", Kind.FLAT, 1, "gpu"),
        ("gpu", Kind.FLAT, 2, "gpu"),
        ("cpu", Kind.FLAT, 1, "cpu"),
        ("gpu", Kind.HNSW, 1, "cpu"),
        ("auto", Kind.HNSW, 1, "cpu"),
    ],
)
def test_where_an_index_lives(asked: Any, kind: Kind, gpus: int, expected: str) -> None:
    assert faiss.choose_device(asked, kind, gpus) == expected


def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"search\.device is 'gpu'"):
        faiss.choose_device("gpu", Kind.FLAT, 0)


@pytest.mark.parametrize("bad", [[-1], [2**63], [1.5], ["a"], [[1]], [None], [True], [[1], [1, 2]]])
def test_ids_that_are_refused(bad: Any) -> None:
    with pytest.raises(BadRequest, match="'ids'"):
        checks.ids(bad)


@pytest.mark.parametrize(
    "bad",
    [
        [[1.0]],
        [1.0, 2.0],
        [[1.0, np.nan]],
        [[np.inf, 0]],
        [[1e16, 0]],
        [[-1e300, 0]],
        [["a", "b"]],
        [[0, 0]],
        [[1], []],
    ],
)
def test_vectors_that_are_refused(bad: Any) -> None:
    with pytest.raises(BadRequest, match="'vectors'"):
        checks.vectors(bad, Shape(2))


@pytest.mark.parametrize("bad", [0, -1, MAX_K + 1, 1.0, True, None, "3"])
def test_k_that_is_refused(bad: Any) -> None:
    with pytest.raises(BadRequest, match="'k'"):
        checks.k(bad)


@pytest.mark.parametrize(
    "bad",
    [
        (0, "l2", "flat"),
        (2**20, "l2", "flat"),
        (1.0, "l2", "flat"),
        (True, "l2", "flat"),
        (3, "near", "flat"),
        (3, "l2", 5),
    ],
)
def test_shapes_that_are_refused(bad: Any) -> None:
    with pytest.raises(BadRequest):
        Shape.of(*bad)


def test_good_input_is_taken_in_any_number_format() -> None:
    assert checks.ids([]).dtype == checks.ids(np.array([3], np.uint8)).dtype == np.int64
    assert checks.vectors([[1, 2]], Shape(2)).dtype == np.float32
    assert checks.vectors(np.empty((0, 2)), Shape(2)).shape == (0, 2)
    assert checks.k(np.int64(3)) == 3
    assert Shape.of(3, "l2", "hnsw") == Shape(3, Metric.L2, Kind.HNSW)


def test_faiss_comes_without_torch() -> None:
    words = "import sys, retrieval.index.snapshot; sys.exit('torch' in sys.modules or 'vllm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False, timeout=60).returncode == 0
