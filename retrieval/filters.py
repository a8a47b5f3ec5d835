"""Filters over attributes, as OpenAI's vector stores spell them, and the columns that answer them. It knows no index.

A missing attribute, or one of another type, equals nothing: `ne` and `nin` accept it, everything else does not. Strings
are ordered by code point, True and False only compared with `eq`, `ne`, `in` and `nin`.
"""

import operator
import sys
from array import array
from bisect import bisect_left, bisect_right
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


VALUE_BYTES = 150
"""What a value takes in a column and the row's list of keys, as Python keeps them."""


class _Column:
    """One attribute, of the rows that have it: numbers apart, texts and booleans by a code."""

    def __init__(self) -> None:
        self.rows = array("i")
        self.numbers = array("d")
        self.codes = array("i")
        self.code_of: dict[str | bool, int] = {}
        self._places: dict[int, int] = {}
        self._ordered: tuple[list[str], npt.NDArray[np.int32]] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def set(self, row: int, value: Value) -> None:
        place = self._places.setdefault(row, len(self.rows))
        if place == len(self.rows):
            self.rows.append(row)
            self.numbers.append(np.nan)
            self.codes.append(-1)
        coded = isinstance(value, (str, bool))
        self.codes[place] = self._code(value) if coded else -1  # type: ignore[arg-type]  # coded says so
        self.numbers[place] = np.nan if coded else float(value)

    def remove(self, row: int) -> None:
        """The last one takes its place."""
        place, last = self._places.pop(row), len(self.rows) - 1
        if place != last:
            self.rows[place], self.numbers[place], self.codes[place] = (
                self.rows[last], self.numbers[last], self.codes[last]
            )  # fmt: skip
            self._places[self.rows[place]] = place
        for column in (self.rows, self.numbers, self.codes):
            column.pop()

    def values(self) -> Iterator[tuple[int, Value]]:
        """Row and value."""
        coded = list(self.code_of)
        for row, code, number in zip(self.rows, self.codes, self.numbers, strict=True):
            yield row, coded[code] if code >= 0 else number

    def mask(self, asked: Comparison, rows: int) -> Mask:
        found = np.zeros(rows, bool)
        texts, numbers = np.array(self.codes, np.int32), np.array(self.numbers, np.float64)
        if asked.test == "in":
            wanted = [value for value in asked.values if isinstance(value, float)]
            coded = [value for value in asked.values if not isinstance(value, float)]  # 1.0 is True's key too
            codes = [self.code_of[value] for value in coded if value in self.code_of]
            known = np.isin(numbers, wanted) | np.isin(texts, codes)
        else:
            known = self._compared(asked.test, asked.values[0], texts, numbers)
        found[np.array(self.rows, np.int32)[known]] = True
        return found

    def _code(self, value: str | bool) -> int:
        if value not in self.code_of:
            self._ordered = None
        return self.code_of.setdefault(value, len(self.code_of))

    def _compared(self, test: str, value: Value, texts: Any, numbers: Any) -> Mask:  # noqa: ANN401  numpy
        result: Mask
        if not isinstance(value, str):
            result = _ORDER[test](numbers, value)  # a NaN is neither
            return result
        names, ranks = self._ranked()
        place = bisect_left(names, value) if test in ("lt", "gte") else bisect_right(names, value)
        ranked = np.where(texts >= 0, ranks[texts], -1) if len(ranks) else np.full(len(texts), -1)
        result = (ranked >= place) if test in ("gt", "gte") else (ranked < place)
        return result & (ranked >= 0)

    def _ranked(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        """The texts in their order, and by code the place of each; -1 for a boolean."""
        if self._ordered is None:
            names = sorted(each for each in self.code_of if isinstance(each, str))
            ranks = np.full(len(self.code_of), -1, np.int32)
            ranks[[self.code_of[name] for name in names]] = np.arange(len(names))
            self._ordered = names, ranks
        return self._ordered


class Columns:
    """Attributes by row, kept by attribute; rows are set in any order. Changes run alone, masks side by side."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, _Column] = {}
        self._keys: dict[int, tuple[str, ...]] = {}

    def set(self, row: int, attributes: Attributes) -> None:
        """Put these in place of the row's attributes."""
        self.rows = max(self.rows, row + 1)
        for key in self._keys.pop(row, ()):
            if key not in attributes:
                self._columns[key].remove(row)
                if not self._columns[key]:
                    del self._columns[key]
        for key, value in attributes.items():
            self._columns.setdefault(key, _Column()).set(row, value)
        if attributes:
            self._keys[row] = tuple(attributes)

    @property
    def memory_bytes(self) -> int:
        """What they take in memory, about."""
        return VALUE_BYTES * sum(len(column) for column in list(self._columns.values()))

    def attributes(self) -> list[dict[str, Value]]:
        """Those of each row."""
        found: list[dict[str, Value]] = [{} for _ in range(self.rows)]
        for key, column in self._columns.items():
            for row, value in column.values():
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
