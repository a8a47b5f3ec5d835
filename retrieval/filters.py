"""Filters over attributes, as OpenAI's vector stores spell them, and the columns that answer them. It knows no index.

A missing attribute, or one of another type, equals nothing: `ne` and `nin` accept it, everything else does not. Strings
are ordered by code point, True and False only compared with `eq`, `ne`, `in` and `nin`.
"""

import operator
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from configs.errors import BadRequest

Value = str | float | bool
Attributes = Mapping[str, Value]
Mask = npt.NDArray[np.bool_]

MAX_DEPTH = 8
MAX_PARTS = 256
MAX_VALUES = 10_000
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One attribute against values; `negated` says that those which do not match are wanted."""

    key: str
    test: str
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Compound:
    """Parts that must all hold, or one of them."""

    every: bool
    parts: "tuple[Filter, ...]"


Filter = Comparison | Compound


def parse(given: object) -> Filter:
    """A filter of a request: `{"type": "eq", "key": …, "value": …}` or `{"type": "and", "filters": […]}`.

    Raises:
        BadRequest: it is none, or too deep or large.
    """
    budget = iter(range(MAX_PARTS))
    return _parse(given, 0, budget)


def _parse(given: object, depth: int, budget: Iterator[int]) -> Filter:
    if depth > MAX_DEPTH or next(budget, None) is None:
        raise _wrong(f"is deeper than {MAX_DEPTH} or has more than {MAX_PARTS} parts")
    if not isinstance(given, Mapping):
        raise _wrong("is an object with 'type', 'key' and 'value', or with 'type' and 'filters'")
    kind = given.get("type")
    if kind in ("and", "or"):
        parts = given.get("filters")
        if not isinstance(parts, list) or not parts:
            raise _wrong("has an 'and' or 'or' without a list of 'filters'")
        return Compound(kind == "and", tuple(_parse(part, depth + 1, budget) for part in parts))
    return _comparison(kind, given.get("key"), given.get("value"))


def _comparison(kind: object, key: object, value: object) -> Comparison:
    if not isinstance(key, str) or not key:
        raise _wrong("has a 'key' that is no text")
    if kind in ("in", "nin"):
        if not isinstance(value, list) or len(value) > MAX_VALUES:
            raise _wrong(f"compares {kind!r} with something that is no list of at most {MAX_VALUES} values")
        return Comparison(key, "in", tuple(map(_value, value)), kind == "nin")
    if kind in ("eq", "ne"):
        return Comparison(key, "in", (_value(value),), kind == "ne")
    if not isinstance(kind, str) or kind not in _ORDER:
        raise _wrong("has a 'type' other than eq, ne, gt, gte, lt, lte, in, nin, and, or")
    if isinstance(value, bool):
        raise _wrong("asks for an order of true and false")
    return Comparison(key, kind, (_value(value),))


def _value(given: object) -> Value:
    if isinstance(given, (str, bool)):
        return given
    if isinstance(given, (int, float)) and abs(given) <= sys.float_info.max:
        return float(given)
    raise _wrong("has a value that is no text, finite number, true or false")


def _wrong(what: str) -> BadRequest:
    return BadRequest(f"The filter {what}.", param="filters")


class _Column:
    """One attribute over all rows: numbers apart, texts and booleans by a code."""

    def __init__(self) -> None:
        self.numbers = array("d")
        self.codes = array("i")
        self.code_of: dict[str | bool, int] = {}

    def set(self, row: int, value: Value | None) -> None:
        if short := row + 1 - len(self.codes):
            self.numbers.extend([np.nan] * max(0, short))
            self.codes.extend([-1] * max(0, short))
        coded = isinstance(value, (str, bool))
        self.codes[row] = self.code_of.setdefault(value, len(self.code_of)) if coded else -1  # type: ignore[arg-type]  # coded says so
        self.numbers[row] = np.nan if coded or value is None else float(value)

    def values(self) -> Iterator[Value | None]:
        """By row."""
        coded = list(self.code_of)
        for code, number in zip(self.codes, self.numbers, strict=True):
            yield coded[code] if code >= 0 else None if number != number else number  # noqa: PLR0124  a NaN

    def mask(self, asked: Comparison, rows: int) -> Mask:
        found = np.zeros(rows, bool)
        known = found[: len(self.codes)]
        texts = np.array(self.codes, np.int32)
        numbers = np.array(self.numbers, np.float64)
        if asked.test == "in":
            wanted = [value for value in asked.values if isinstance(value, float)]
            coded = [value for value in asked.values if not isinstance(value, float)]  # 1.0 is True's key too
            codes = [self.code_of[value] for value in coded if value in self.code_of]
            known |= np.isin(numbers, wanted) | np.isin(texts, codes)
        else:
            known |= self._ordered(_ORDER[asked.test], asked.values[0], texts, numbers)
        return found

    def _ordered(self, test: Callable[[Any, Any], Any], value: Value, texts: Any, numbers: Any) -> Mask:  # noqa: ANN401  numpy
        if isinstance(value, str):
            fitting = [code for each, code in self.code_of.items() if isinstance(each, str) and test(each, value)]
            return np.isin(texts, fitting)
        result: Mask = test(numbers, value)  # a NaN is neither
        return result


class Columns:
    """Attributes by row, kept by attribute; rows are set in any order. Changes run alone, masks side by side."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, _Column] = {}

    def set(self, row: int, attributes: Attributes) -> None:
        """Put these in place of the row's attributes."""
        self.rows = max(self.rows, row + 1)
        for key in attributes:
            self._columns.setdefault(key, _Column())
        for key, column in self._columns.items():
            if key in attributes or row < len(column.codes):
                column.set(row, attributes.get(key))

    def attributes(self) -> list[dict[str, Value]]:
        """Those of each row."""
        found: list[dict[str, Value]] = [{} for _ in range(self.rows)]
        for key, column in self._columns.items():
            for row, value in enumerate(column.values()):
                if value is not None:
                    found[row][key] = value
        return found

    def mask(self, asked: Filter) -> Mask:
        """Which rows [rows] the filter accepts."""
        if isinstance(asked, Compound):
            masks = [self.mask(part) for part in asked.parts]
            return _all(masks) if asked.every else ~_all([~mask for mask in masks])
        column = self._columns.get(asked.key)
        found = np.zeros(self.rows, bool) if column is None else column.mask(asked, self.rows)
        return ~found if asked.negated else found


def _all(masks: Sequence[Mask]) -> Mask:
    result: Mask = np.logical_and.reduce(masks)
    return result
