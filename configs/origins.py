"""Walk a validated configuration and say for every leaf where it came from and what may be shown of it.

What `manta config show --origin` prints. Secrets leave this file masked only.
"""

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, SecretStr

from configs.origin import DEFAULT, Origin
from configs.redact import MASK, redact
from configs.tree import Node, Path, find

if TYPE_CHECKING:
    from configs.catalog import Catalog
    from configs.specs import Configuration


class Row(NamedTuple):
    """One leaf: its dotted path, its value as it may be shown, and its origin's place."""

    path: str
    value: str
    origin: str


def origins_of(configuration: "Configuration", root: Node) -> dict[str, Origin]:
    """The origin of every leaf: the tree's where the tree has it, else the default."""
    return {dotted(path): _origin(root, path) for path, _ in leaves(configuration)}


def _origin(root: Node, path: Path) -> Origin:
    node, whole = find(root, path)
    return node.spot.origin if whole else DEFAULT


def leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every leaf of a shape; an empty list or mapping is a leaf."""
    items = _items(value)
    if not items:
        yield path, value
    for key, item in items:
        yield from leaves(item, (*path, key))


def _items(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, BaseModel):
        return [(name, getattr(value, name)) for name in type(value).model_fields]
    if isinstance(value, Mapping):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list | tuple) else []


def dotted(path: Path) -> str:
    """`model_list.0.engine.max_model_len`."""
    return ".".join(map(str, path))


def show(catalog: "Catalog") -> list[Row]:
    """The whole configuration and the environment's settings, ready to print."""
    rows = [
        Row(dotted(path), written(path, value), catalog.origins[dotted(path)].place)
        for path, value in leaves(catalog.configuration)
    ]
    for name, value in catalog.settings:
        key = name.upper()
        rows.append(Row(key, written((key,), value), catalog.origins.get(key, DEFAULT).place))
    return rows


def written(path: Path, value: object) -> str:
    """A leaf as YAML would write it, masked if it is or holds a secret."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str | PurePath):
        key = next((step for step in reversed(path) if isinstance(step, str)), "")
        return redact(key, str(value))
    if isinstance(value, tuple):
        return "[]"
    return json.dumps(value)
