"""Values that remember their place, and how one level is laid over another.

Mappings merge key by key, everything else (lists too) is replaced. It knows no file format and no shape.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from configs.origin import Spot

Path = tuple[str | int, ...]
LONGEST_PATH = 16
LONGEST_INDEX = 6


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a `dict[str, Node]` or a `list[Node]`; `key` is the spot of the mapping key that leads here."""

    value: Any
    spot: Spot
    key: Spot | None = field(default=None, compare=False)

    @property
    def key_spot(self) -> Spot:
        """The key's spot; the value's where there is no key."""
        return self.key or self.spot


def steps(words: Sequence[str]) -> Path:
    """The path that the words of a variable or a flag spell; a number is the index of a list entry.

    Raises:
        LookupError: the path is longer than any configuration is deep.
    """
    if len(words) > LONGEST_PATH:
        message = f"it names more than {LONGEST_PATH} levels"
        raise LookupError(message)
    return tuple(
        int(word) if word.isascii() and word.isdigit() and len(word) <= LONGEST_INDEX else word for word in words
    )


def wrap(value: object, spot: Spot) -> Node:
    """A plain value as a tree whose every part stands at `spot`."""
    if isinstance(value, dict):
        return Node({str(key): wrap(item, spot) for key, item in value.items()}, spot, spot)
    if isinstance(value, list | tuple):
        return Node([wrap(item, spot) for item in value], spot, spot)
    return Node(value, spot, spot)


def plain(node: Node) -> object:
    """The values without their places."""
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def merge(under: Node, over: Node) -> Node:
    """`over` laid on `under`."""
    if not (isinstance(under.value, dict) and isinstance(over.value, dict)):
        return over
    both = dict(under.value)
    for key, node in over.value.items():
        both[key] = merge(both[key], node) if key in both else node
    return Node(both, under.spot, under.key)


def assign(root: Node, path: Path, new: Node) -> Node:
    """`root` with `new` merged in at `path`; mappings on the way are made.

    Raises:
        LookupError: a list on the way has no such entry (one past the end adds one), or a scalar stands in the way.
    """
    if not path:
        return merge(root, new)
    head, rest = path[0], path[1:]
    if isinstance(root.value, list):
        return Node(_assign_entry(root.value, head, rest, new), root.spot, root.key)
    if isinstance(root.value, dict):
        child = root.value.get(str(head)) or Node({}, new.spot, new.key_spot)
        return Node({**root.value, str(head): assign(child, rest, new)}, root.spot, root.key)
    message = f"{head!r} cannot be set below a value that is no mapping"
    raise LookupError(message)


def _assign_entry(entries: list[Node], index: str | int, rest: Path, new: Node) -> list[Node]:
    if not isinstance(index, int) or index > len(entries):
        message = f"there is no entry {index} in a list of {len(entries)} (entries count from 0)"
        raise LookupError(message)
    child = entries[index] if index < len(entries) else Node({}, new.spot, new.key_spot)
    return [*entries[:index], assign(child, rest, new), *entries[index + 1 :]]


def find(root: Node, path: Path) -> tuple[Node, bool]:
    """The deepest node on the way to `path`, and whether it is the whole way."""
    node = root
    for step in path:
        child = _child(node, step)
        if child is None:
            return node, False
        node = child
    return node, True


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node.value, dict):
        found: Node | None = node.value.get(str(step))
        return found
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        entry: Node = node.value[step]
        return entry
    return None


def scalars(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every leaf with its path."""
    if isinstance(node.value, dict):
        for key, item in node.value.items():
            yield from scalars(item, (*path, key))
    elif isinstance(node.value, list):
        for index, item in enumerate(node.value):
            yield from scalars(item, (*path, index))
    else:
        yield path, node
