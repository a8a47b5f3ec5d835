"""SCIM's filters (RFC 7644, 3.4.2.2): a text to a tree, and a tree on one value of an attribute.

Which attributes can be asked for in the database, and how, is `api.db.scim`'s.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from configs.errors import InvalidFilter

LONGEST = 2000
DEEPEST = 16
OPERATORS = {"eq", "ne", "co", "sw", "ew", "pr"}
ORDERING = {"gt", "ge", "lt", "le"}
TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[()\[\]]|[^\s()\[\]"]+)')
PREFIX = re.compile(r"^urn:[a-z0-9:._-]*:2\.0:(?:user|group):", re.I)


@dataclass(frozen=True, slots=True)
class Compare:
    """`attribute` (in lower case, without its schema) compared with a value; with `pr` there is none."""

    attribute: str
    operator: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Both:
    """All of them."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of them."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not this."""

    node: "Node"


@dataclass(frozen=True, slots=True)
class Within:
    """One value of a multi-valued attribute for which all this holds."""

    attribute: str
    node: "Node"


Node = Compare | Both | Either | Not | Within


def parse(text: str) -> Node:
    """A filter's tree.

    Raises:
        InvalidFilter: it is none, or uses what is not supported here.
    """
    if len(text) > LONGEST:
        raise InvalidFilter(f"The filter is longer than {LONGEST} characters.")
    parser = _Parser(_tokens(text))
    node = parser.either(0)
    if parser.token is not None:
        parser.refuse()
    return node


def matches(node: Node, value: dict[str, Any]) -> bool:
    """Whether one value of a complex attribute fits; texts are the same in any case."""
    if isinstance(node, Both):
        return all(matches(each, value) for each in node.nodes)
    if isinstance(node, Either):
        return any(matches(each, value) for each in node.nodes)
    if isinstance(node, Not):
        return not matches(node.node, value)
    if isinstance(node, Within):
        return False
    if node.attribute in value:  # a team has thousands of people, and each is asked
        found = value[node.attribute]
    else:
        found = next((each for name, each in value.items() if name.lower() == node.attribute), None)
    return _compared(node.operator, found, node.value)


def _compared(operator: str, found: Any, wanted: Any) -> bool:  # noqa: ANN401  any JSON
    if operator == "pr":
        return found is not None
    if isinstance(found, str) and isinstance(wanted, str):
        found, wanted = found.lower(), wanted.lower()
        if operator in ("co", "sw", "ew"):
            return bool({"co": str.__contains__, "sw": str.startswith, "ew": str.endswith}[operator](found, wanted))
    return (found == wanted) == (operator == "eq") if operator in ("eq", "ne") else False


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text.rstrip()):
        match = TOKEN.match(text, at)
        if match is None:
            raise InvalidFilter("The filter has a text without its closing quote.")
        tokens.append(match[1])
        at = match.end()
    return tokens


class _Parser:
    """One walk over the tokens; `or` binds less than `and`, `and` less than `not`."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def token(self) -> str | None:
        """The next one, in front of the parser."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def refuse(self) -> NoReturn:
        """Say where it went wrong, by position: the text itself may be personal."""
        raise InvalidFilter(f"The filter cannot be read at word {self._at + 1}.")

    def either(self, depth: int) -> Node:
        """Terms with `or` between them."""
        if depth > DEEPEST:
            raise InvalidFilter(f"The filter is nested deeper than {DEEPEST} levels.")
        nodes = [self._both(depth)]
        while self._is("or"):
            nodes.append(self._both(depth))
        return nodes[0] if len(nodes) == 1 else Either(tuple(nodes))

    def _both(self, depth: int) -> Node:
        nodes = [self._one(depth)]
        while self._is("and"):
            nodes.append(self._one(depth))
        return nodes[0] if len(nodes) == 1 else Both(tuple(nodes))

    def _one(self, depth: int) -> Node:
        if self._is("not"):
            if self.token not in {"("}:
                self.refuse()
            return Not(self._one(depth + 1))
        if self._is("("):
            return self._closed(self.either(depth + 1), ")")
        attribute = PREFIX.sub("", self._word()).lower()
        if self._is("["):
            return self._closed(Within(attribute, self.either(depth + 1)), "]")
        operator = self._word().lower()
        if operator in ORDERING:
            raise InvalidFilter(f"The operator {operator!r} is not supported.")
        if operator not in OPERATORS:
            self._at -= 1
            self.refuse()
        return Compare(attribute, operator, None if operator == "pr" else self._value())

    def _closed(self, node: Node, bracket: str) -> Node:
        if not self._is(bracket):
            self.refuse()
        return node

    def _is(self, word: str) -> bool:
        found = self.token is not None and self.token.lower() == word
        self._at += found
        return found

    def _word(self) -> str:
        token = self.token
        if token is None or token[0] in '()[]"':
            self.refuse()
        self._at += 1
        return token

    def _value(self) -> Any:  # noqa: ANN401  any JSON
        token = self.token
        if token is None:
            self.refuse()
        try:
            value = orjson.loads(token if token[0] == '"' else token.lower())
        except orjson.JSONDecodeError:
            self.refuse()
        if isinstance(value, str) and "\0" in value:
            self.refuse()
        self._at += 1
        return value
