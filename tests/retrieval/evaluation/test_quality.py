import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.evaluation.quality import ndcg_at, quality, recall_at, reciprocal_rank


def test_by_hand() -> None:
    found = [False, True, False, True]
    assert recall_at(1, found, 2) == 0
    assert recall_at(3, found, 2) == 0.5
    assert recall_at(10, found, 4) == 0.5
    assert reciprocal_rank(found) == 0.5
    assert reciprocal_rank([]) == 0
    best = 1 + 1 / math.log2(3)
    assert ndcg_at(10, found, 2) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)
    assert ndcg_at(1, [True, False], 3) == 1


def test_means() -> None:
    found = quality([([True], 1), ([False, False, True], 2)], ks=(1, 3))
    assert (found.questions, found.recall) == (2, {1: 0.5, 3: 0.75})
    assert found.mrr == pytest.approx((1 + 1 / 3) / 2)
    assert found.ndcg[1] == 0.5


@pytest.mark.parametrize("rankings", [[], [([True], 0)]])
def test_nothing_relevant_is_no_question(rankings: list[tuple[list[bool], int]]) -> None:
    with pytest.raises(ValueError, match="relevant"):
        quality(rankings)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 12))
def test_from_zero_to_one_and_never_worse_by_moving_an_answer_up(found: list[bool], k: int) -> None:
    relevant = max(sum(found), 1)
    sorted_ = sorted(found, reverse=True)
    for measure in (
        lambda ranking: recall_at(k, ranking, relevant),
        lambda ranking: ndcg_at(k, ranking, relevant),
        reciprocal_rank,
    ):
        assert 0 <= measure(found) <= measure(sorted_) <= 1 + 1e-9
