import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import diversify, fuse

RANKING = st.lists(st.integers(0, 20), unique=True, max_size=12)


@given(rankings=st.lists(RANKING, min_size=1, max_size=4), seed=st.integers(0, 99))
def test_every_item_is_there_once_with_a_score_from_0_to_1(rankings: list[list[int]], seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.1, 3, len(rankings)).tolist()
    fused = fuse(rankings, weights)
    assert fused.keys() == {item for ranking in rankings for item in ranking}
    assert all(0 < score <= 1 + 1e-9 for score in fused.values())
    assert list(fused.values()) == sorted(fused.values(), reverse=True)


@given(ranking=RANKING, weight=st.floats(0.1, 9))
def test_one_ranking_keeps_its_order_and_one_without_weight_does_not_count(ranking: list[int], weight: float) -> None:
    assert list(fuse([ranking], [weight])) == ranking
    assert list(fuse([ranking, ranking[::-1]], [weight, 0])) == ranking


def test_what_both_know_leads_what_one_knows() -> None:
    assert next(iter(fuse([[1, 2, 3], [4, 2, 5]], [1, 1]))) == 2
    assert fuse([[7], [7]], [1, 3]) == {7: pytest.approx(1.0)}


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], []])
def test_weights_that_weigh_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        fuse([[1], [2]], weights)


@given(count=st.integers(0, 12), k=st.integers(1, 15), keep=st.floats(0, 1), seed=st.integers(0, 99))
def test_diverse_results_are_distinct_and_begin_with_the_best(count: int, k: int, keep: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(count, 4)).astype(np.float32)
    relevance = draw.uniform(size=count).tolist()
    chosen = diversify(relevance, vectors, k, keep)
    assert len(chosen) == len(set(chosen)) == min(k, count)
    if chosen:
        assert relevance[chosen[0]] == max(relevance)


def test_a_repetition_comes_last() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    assert diversify([0.9, 0.89, 0.5], vectors, 3, 0.5) == [0, 2, 1]
    assert diversify([0.9, 0.89, 0.5], vectors, 3, 1.0) == [0, 1, 2]
