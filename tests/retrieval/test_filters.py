import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadRequest
from retrieval.filters import MAX_DEPTH, Columns, parse

VALUE = st.one_of(st.sampled_from(["a", "b", "é", ""]), st.integers(-2, 2), st.floats(-2, 2), st.booleans())
KEY = st.sampled_from(["x", "y", "z"])
ROWS = st.lists(st.dictionaries(KEY, VALUE), max_size=8)
ONE = st.fixed_dictionaries({"type": st.sampled_from(["eq", "ne"]), "key": KEY, "value": VALUE})
ORDERED = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["gt", "gte", "lt", "lte"]),
        "key": KEY,
        "value": VALUE.filter(lambda value: not isinstance(value, bool)),
    }
)
MANY = st.fixed_dictionaries({
    "type": st.sampled_from(["in", "nin"]), "key": KEY, "value": st.lists(VALUE, max_size=3)
})  # fmt: skip
FILTER = st.recursive(
    ONE | ORDERED | MANY,
    lambda part: st.fixed_dictionaries({
        "type": st.sampled_from(["and", "or"]), "filters": st.lists(part, min_size=1, max_size=3)
    }),
    max_leaves=5,
)  # fmt: skip
ORDER = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


def same(one: Any, other: Any) -> bool:
    """Equal, where true is no 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def accepts(asked: Any, row: dict[str, Any]) -> bool:
    if asked["type"] in ("and", "or"):
        return (all if asked["type"] == "and" else any)(accepts(part, row) for part in asked["filters"])
    value: Any = row.get(asked["key"])
    wanted = asked["value"]
    if asked["type"] in ORDER:
        fits = value is not None and not isinstance(value, bool) and isinstance(value, str) == isinstance(wanted, str)
        return fits and bool(ORDER[asked["type"]](value, wanted))
    found = any(same(value, each) for each in (wanted if isinstance(wanted, list) else [wanted]))
    return found != (asked["type"] in ("ne", "nin"))


@given(rows=ROWS, later=ROWS, asked=FILTER)
def test_columns_answer_as_one_row_at_a_time_does(rows: Any, later: Any, asked: Any) -> None:
    columns, now = Columns(), dict(enumerate(rows)) | dict(enumerate(later))
    for row, attributes in [*enumerate(rows), *enumerate(later)]:
        columns.set(row, attributes)
    assert columns.mask(parse(asked)).tolist() == [accepts(asked, now[row]) for row in range(len(now))]


def deep(levels: int) -> dict[str, Any]:
    return {"type": "and", "filters": [deep(levels - 1)]} if levels else {"type": "eq", "key": "x", "value": 1}


@pytest.mark.parametrize(
    "asked",
    [
        None, [], "x", {}, {"type": "eq"}, {"type": "eq", "key": 3, "value": 1}, {"type": "and", "filters": []},
        {"type": "eq", "key": "", "value": 1}, {"type": "eq", "key": "x", "value": None}, {"type": ["eq"], "key": "x"},
        {"type": "in", "key": "x", "value": "abc"}, {"type": "lt", "key": "x", "value": True},
        {"type": "eq", "key": "x", "value": float("nan")}, {"type": "eq", "key": "x", "value": 10**400},
        {"type": "like", "key": "x", "value": "a"}, deep(MAX_DEPTH + 1),
        {"type": "or", "filters": [deep(0)] * 300},
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_a_reason(asked: object) -> None:
    with pytest.raises(BadRequest, match="filter") as refused:
        parse(asked)
    assert refused.value.param == "filters"


def test_columns_are_as_long_as_what_they_hold() -> None:
    """Whoever gives every file names of its own costs no more than whoever uses the same ones."""
    columns = Columns()
    for row in range(2_000):
        columns.set(row, {f"name {row} {number}": True for number in range(16)})
    assert sum(map(len, columns._columns.values())) == 2_000 * 16
    for row in range(2_000):
        columns.set(row, {})
    assert columns._columns == {}
