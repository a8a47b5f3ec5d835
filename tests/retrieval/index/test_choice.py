import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.index.choice import EXACT_ROWS, LEAST_TRAINED, PER_LIST, choose


@given(rows=st.integers(0, 10**8), dimensions=st.integers(1, 16384), budget=st.none() | st.integers(0, 10**12))
def test_a_plan_can_be_trained_and_probes_what_there_is(rows: int, dimensions: int, budget: int | None) -> None:
    plan = choose(rows, dimensions, budget)
    assert plan.exact == (plan.lists == 0)
    assert 0 <= plan.probes <= plan.lists
    assert plan.exact or (plan.probes >= 1 and plan.lists * PER_LIST <= rows)


@pytest.mark.parametrize(
    ("rows", "budget", "exact"),
    [
        (EXACT_ROWS, None, True),
        (EXACT_ROWS + 1, None, False),
        (EXACT_ROWS, EXACT_ROWS * 384, False),
        (LEAST_TRAINED - 1, 0, True),
        (1_000_000, 10**12, False),
    ],
)
def test_small_is_exact_where_memory_allows(rows: int, budget: int | None, exact: bool) -> None:
    assert choose(rows, 384, budget).exact is exact
