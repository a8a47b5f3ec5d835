"""Read one YAML file into a tree that knows its lines.

The file is taken as data: YAML's core scalars (null, true/false, decimal numbers, text; `yes` and dates stay text), no
tags, no duplicate keys, and hard limits on bytes, depth and nodes, aliases counted as often as they are used. It knows
no shape.
"""

import math
import re
from pathlib import Path
from typing import ClassVar, Protocol, cast

import yaml

from configs.origin import Origin, Spot
from configs.problems import Problem, Refused
from configs.tree import Node

MAX_BYTES = 2**20
MAX_DEPTH = 64
MAX_NODES = 20_000
MAX_CHARS = 4 * MAX_BYTES  # of all scalars, aliases followed
LONGEST_NUMBER = 64  # characters; what is longer is text
MERGE = "<<"

Scalar = str | int | float | bool | None

INTEGER = re.compile(r"[-+]?[0-9]+")
NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
WORDS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL")) | {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class Mark(Protocol):
    """A position as both of PyYAML's parsers give it, counted from 0."""

    line: int
    column: int


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml's parser where it is built in
    """Makes nodes and resolves nothing: scalars are read here, by `scalar`."""

    yaml_implicit_resolvers: ClassVar[dict[str, object]] = {}


def read_file(path: Path, shown: str | None = None) -> Node:
    """The tree of a file; an empty file is an empty mapping. `shown` is its name in messages.

    Raises:
        Refused: it cannot be read, is too large or deep, or is not the YAML that is taken here.
    """
    name = shown or str(path)
    try:
        if not path.is_file():
            reason = "there is no such file" if not path.exists() else "it is not a file"
            raise Refused(Problem(Spot(Origin("file", name)), reason))
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or "it is no path"
        raise Refused(Problem(Spot(Origin("file", name)), f"cannot read it: {reason}")) from error
    return read_bytes(raw, name)


def read_bytes(raw: bytes, name: str) -> Node:
    """The tree of a file's bytes; see `read_file`."""
    start = Spot(Origin("file", f"{name}:1"), 1, 1)
    if len(raw) > MAX_BYTES:
        raise Refused(Problem(start, f"the file is larger than {MAX_BYTES // 2**20} MiB"))
    try:
        return read_text(raw.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        spot = Spot(Origin("file", f"{name}:{line}"), line, column)
        raise Refused(Problem(spot, "the file is not UTF-8 text")) from error
    except RecursionError as error:
        raise Refused(Problem(start, "the file nests too deep")) from error


def read_text(text: str, name: str) -> Node:
    """The tree of a text; see `read_file`."""
    node = read_value(text, Reader(name))
    if node.value is None:
        return Node({}, node.spot)
    if not isinstance(node.value, dict):
        raise Refused(Problem(node.spot, "the file must be a mapping of keys to values"))
    return node


def read_value(text: str, reader: "Reader") -> Node:
    """Any YAML value; nothing at all is null."""
    try:
        reader.prescan(text)
        root = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise reader.refuse(mark, f"this is not YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise reader.refuse(None, "this is not YAML: it holds characters that YAML does not allow") from error
    return Node(None, reader.spot(None)) if root is None else reader.convert(root, 0)


class Reader:
    """Turns YAML's nodes into ours and holds the limits."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes = 0
        self.chars = 0

    def spot(self, mark: Mark | None) -> Spot:
        """A mark of PyYAML as our spot."""
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Spot(Origin("file", f"{self.name}:{line}"), line, column)

    def refuse(self, mark: Mark | None, message: str) -> Refused:
        """The error to raise for the place of `mark`."""
        return Refused(Problem(self.spot(mark), message))

    def prescan(self, text: str) -> None:
        """Look at the stream of events before anything is built: depth, number and tags."""
        depth = 0
        for number, event in enumerate(yaml.parse(text, Loader=Loader)):
            if isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            if depth > MAX_DEPTH:
                raise self.refuse(event.start_mark, f"the file nests deeper than {MAX_DEPTH} levels")
            if number > MAX_NODES * 2:
                raise self.refuse(event.start_mark, f"the file has more than {MAX_NODES} values")
            if tag := getattr(event, "tag", None):
                raise self.refuse(event.start_mark, f"the tag {tag[:80]!r} is not allowed; write a plain value")

    def convert(self, node: yaml.Node, depth: int, key: Spot | None = None) -> Node:
        """One of ours from one of YAML's; counts what aliases multiply."""
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            limit = f"{MAX_NODES} values" if self.nodes > MAX_NODES else f"{MAX_DEPTH} levels"
            raise self.refuse(node.start_mark, f"the file, its aliases followed, has more than {limit}")
        spot = self.spot(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return Node(self.mapping(node, depth), spot, key)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.convert(item, depth + 1) for item in node.value], spot, key)
        return Node(self.scalar(cast("yaml.ScalarNode", node)), spot, key)

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        """The entries of a mapping; those of `<<` fill in what it does not name itself."""
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.refuse(key_node.start_mark, "a key must be plain text")
            key = self.text(key_node)
            value = self.convert(value_node, depth + 1, self.spot(key_node.start_mark))
            if key in entries or (key == MERGE and merged):
                raise self.refuse(key_node.start_mark, f"key {key[:80]!r} stands twice here")
            if key == MERGE and not key_node.style:
                merged = self.merged(value, key_node)
            else:
                entries[key] = value
        return {**{key: value for key, value in merged.items() if key not in entries}, **entries}

    def merged(self, value: Node, key_node: yaml.ScalarNode) -> dict[str, Node]:
        """What `<<: *anchor` or `<<: [*first, *second]` brings in; the first wins."""
        found: dict[str, Node] = {}
        for each in value.value if isinstance(value.value, list) else [value]:
            if not isinstance(each.value, dict):
                raise self.refuse(key_node.start_mark, "'<<' merges mappings only")
            found = {**each.value, **found}
        return found

    def scalar(self, node: yaml.ScalarNode) -> Scalar:
        """The value by YAML's core rules; what is quoted or a block is text."""
        text = self.text(node)
        if node.style:
            return text
        if INFINITE.fullmatch(text):
            raise self.refuse(node.start_mark, f"{text!r} is no finite number")
        try:
            return plain_value(text)
        except ValueError as error:
            raise self.refuse(node.start_mark, f"the number {text[:40]!r} is too large") from error

    def text(self, node: yaml.ScalarNode) -> str:
        """The text of a scalar; refuses what cannot be stored or passed on."""
        value: str = node.value
        self.chars += len(value)
        if self.chars > MAX_CHARS:
            raise self.refuse(node.start_mark, "the file, its aliases followed, has too much text")
        if not is_clean(value):
            raise self.refuse(node.start_mark, "this text holds a NUL or half of a surrogate pair")
        return value


def plain_value(text: str) -> Scalar:
    """An unquoted scalar: null, true, false, a decimal number, or the text itself.

    Raises:
        ValueError: a number that is not finite.
    """
    if text in WORDS:
        return WORDS[text]
    if len(text) > LONGEST_NUMBER:
        return text
    if INTEGER.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(text)
        return value
    return text


def is_clean(text: str) -> bool:
    """Whether the text can be encoded as UTF-8 and holds no NUL."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
