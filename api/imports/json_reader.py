"""JSON of unknown size from an unknown hand: a long list element by element, and values nested without a limit of ours.

The library's reader wants a whole text at once and goes as deep as the interpreter's stack. Here a list is cut into its
objects first, by their braces and quotes alone, so that one that is too large or broken costs only itself.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from api.imports.records import Unfit

MEBIBYTE = 1 << 20
LARGEST_BYTES = 32 * MEBIBYTE
"""Of one conversation."""
DEEPEST = 40_000
"""Brackets in brackets. A form that nests each answer in the message before it takes two for each."""
MOST_BRACKETS = 2_000_000
SHALLOW = 200
"""As deep as the library goes without running out of stack, wherever it is called from."""
CHUNK_BYTES = MEBIBYTE
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BACKSLASH, QUOTE, LIST = b'\\"['
OPENING = b"{["

_BRACE = re.compile(rb'["{}]')
_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_BARE = re.compile(rb'[^ \t\r\n,{}\[\]"]++')
_BETWEEN = re.compile(rb"[^ \t\r\n,]")
_TOKEN = re.compile(
    r'[ \t\r\n]*+(?:([{}\[\],:])|("[^"\\]*+(?:\\.[^"\\]*+)*+"|-?\d[\d.eE+-]*+|true|false|null))', re.DOTALL
)
_END = re.compile(r"[ \t\r\n]*+\Z")


class Damaged(Exception):
    """The list cannot be read on from here; what came before was whole."""


def elements(read: Callable[[int], bytes]) -> Iterator[bytes | None]:
    """The elements of the list that `read` gives, or the one object, as they stand; None for one that is too large.

    Raises:
        Damaged: it is no such list, or ends in the middle.
    """
    splitter = _Splitter(read)
    opening = splitter.upcoming()
    if opening == b"{":
        yield splitter.value()
        return
    if opening != b"[":
        raise Damaged
    splitter.step()
    while (found := splitter.upcoming()) != b"]":
        if found == b"}":
            raise Damaged
        yield splitter.value() if found in b'{["' else splitter.bare()


def parsed(data: bytes) -> Any:  # noqa: ANN401  any JSON
    """A value.

    Raises:
        Unfit: it is too large, too deep, no UTF-8 or no JSON, or an object in it has one name twice.
    """
    if len(data) > LARGEST_BYTES:
        raise Unfit(too_large())
    depth = _depth(data)
    if depth > DEEPEST:
        raise Unfit(f"it is nested more than {DEEPEST:,} deep")
    try:
        text = data.decode("utf-8")
        if depth > SHALLOW:
            return _Nested(text).value()
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except ValueError as error:  # also of UTF-8, and of numbers with too many digits
        raise Unfit("it is no valid JSON") from error


def too_large() -> str:
    """The reason for which a conversation of that size is left out."""
    return f"it is larger than {LARGEST_BYTES // MEBIBYTE} MiB"


class _Splitter:
    """Where an element ends. Of an object only the braces count, so that a lost bracket does not matter."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._data = read(CHUNK_BYTES).removeprefix(BYTE_ORDER_MARK)
        self._at = 0

    def upcoming(self) -> bytes:
        """The next byte that is neither white space nor a comma."""
        while (found := _BETWEEN.search(self._data, self._at)) is None:
            self._fill()
        self._at = found.start()
        return found.group()

    def step(self) -> None:
        """Pass one byte."""
        self._at += 1

    def value(self) -> bytes | None:
        """The object, list or text that begins here; None when it is too large."""
        marks = _OUTSIDE if self._data[self._at] == LIST else _BRACE
        parts: list[bytes] = []
        start, size, depth, inside = self._at, 0, 0, False
        while True:
            depth, inside = self._scan(marks, depth, inside)
            size += self._at - start
            if size <= LARGEST_BYTES:
                parts.append(self._data[start : self._at])
            if depth == 0 and not inside:
                return b"".join(parts) if size <= LARGEST_BYTES else None
            self._fill()
            start = 0

    def bare(self) -> bytes:
        """Pass a number or a word; it is no conversation, whatever it is."""
        while True:
            found = _BARE.match(self._data, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._data):
                return b"null"
            self._fill()

    def _scan(self, marks: re.Pattern[bytes], depth: int, inside: bool) -> tuple[int, bool]:
        """Go to the element's end or to the end of what was read."""
        data, at = self._data, self._at
        while found := (_INSIDE if inside else marks).search(data, at):
            byte, at = data[found.start()], found.end()
            if byte == BACKSLASH:
                at += 1
            elif byte == QUOTE:
                inside = not inside
            else:
                depth += 1 if byte in OPENING else -1
            if depth == 0 and not inside:
                break
        else:
            at = max(at, len(data))
        self._at = at
        return depth, inside

    def _fill(self) -> None:
        beyond = max(self._at - len(self._data), 0)  # an escaped character that the last chunk did not hold
        self._data = self._read(CHUNK_BYTES)
        self._at = beyond
        if not self._data:
            raise Damaged


class _Nested:
    """A reader that keeps its place in a list and not on the stack."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[tuple[str, list[Any]]] = [("", [])]
        self._before = ","

    def value(self) -> Any:  # noqa: ANN401
        """The one value.

        Raises:
            ValueError: it is no JSON.
        """
        at = 0
        while not _END.match(self._text, at):
            token = _TOKEN.match(self._text, at)
            if token is None:
                raise ValueError
            mark, scalar = token.groups()
            self._mark(mark) if mark else self._add(json.loads(scalar))
            at = token.end()
        (_, found), *rest = self._open
        if rest or len(found) != 1 or self._before != "value":
            raise ValueError
        return found[0]

    def _mark(self, mark: str) -> None:
        kind, items = self._open[-1]
        if mark in "{[":
            self._expect_place(kind, items, is_name=False)
            self._open.append((mark, []))
            self._before = mark
        elif mark in "}]":
            self._close(mark)
        elif self._before != "value" or not kind or (mark == ":") != (kind == "{" and len(items) % 2 == 1):
            raise ValueError
        else:
            self._before = mark

    def _close(self, mark: str) -> None:
        kind, items = self._open.pop()
        if kind + mark not in {"{}", "[]"} or self._before not in {"value", kind}:
            raise ValueError
        if kind == "{" and len(items) % 2:
            raise ValueError
        made = _object(list(zip(items[::2], items[1::2], strict=True))) if kind == "{" else items
        self._open[-1][1].append(made)
        self._before = "value"

    def _add(self, scalar: Any) -> None:  # noqa: ANN401
        kind, items = self._open[-1]
        self._expect_place(kind, items, is_name=isinstance(scalar, str))
        items.append(scalar)
        self._before = "value"

    def _expect_place(self, kind: str, items: list[Any], *, is_name: bool) -> None:
        if kind == "{" and len(items) % 2 == 1:
            fits = self._before == ":"
        else:
            fits = self._before in {",", kind} and (is_name or kind != "{") and (bool(kind) or not items)
        if not fits:
            raise ValueError


def _depth(data: bytes) -> int:
    """How deep the brackets go.

    Raises:
        Unfit: there are too many.
    """
    brackets = data.count(b"{") + data.count(b"[")
    if brackets <= SHALLOW:
        return brackets
    depth, deepest, inside, at, opened = 0, 0, False, 0, 0
    while found := (_INSIDE if inside else _OUTSIDE).search(data, at):
        byte, at = data[found.start()], found.end()
        if byte == BACKSLASH:
            at += 1
        elif byte == QUOTE:
            inside = not inside
        elif byte in OPENING:
            depth, opened = depth + 1, opened + 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    if opened > MOST_BRACKETS:
        raise Unfit(f"it has more than {MOST_BRACKETS:,} lists and objects")
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError  # which of the two was meant cannot be known
    return made


def _no_constant(_: str) -> float:
    raise ValueError  # NaN and the infinities are no JSON
