"""What the shapes in `configs.specs` know at a path: the keys of a level and the kind of a leaf."""

from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel

from configs import engine_args
from configs.specs import Configuration, EmbeddingEngine
from configs.tree import Path

Leaf = Literal["text", "value", "mapping", "list", "unknown"]


def annotation_at(path: Path) -> object:
    """The annotation of the field at `path`; None where the shapes know nothing."""
    here: object = Configuration
    for step in path:
        here = _below(bare(here), step)
    return here


def _below(here: object, step: str | int) -> object:
    if is_model(here):
        field = here.model_fields.get(str(step))
        return field.annotation if field else None
    if get_origin(here) is tuple:
        entry: object = get_args(here)[0]
        return entry if isinstance(step, int) else None
    return None


def bare(annotation: object) -> object:
    """Without `| None` and without `Annotated`."""
    if get_origin(annotation) in (Union, UnionType):
        return bare(next(member for member in get_args(annotation) if member is not type(None)))
    return bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    """Whether it is one of our shapes."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def takes_null(path: Path) -> bool:
    """Whether the leaf may be null."""
    return type(None) in get_args(annotation_at(path))


def keys_at(path: Path) -> tuple[str, ...]:
    """The keys that the level at `path` knows."""
    here = bare(annotation_at(path))
    return tuple(here.model_fields) if is_model(here) else ()


def leaf_at(path: Path) -> Leaf:
    """How a value at `path` is written: plain text, something else, a mapping, or a list."""
    if len(path) == len(("model_list", 0, "engine", "key")) and path[0] == "model_list" and path[2] == "engine":
        return _engine_leaf(str(path[3]))
    here = bare(annotation_at(path))
    if is_model(here) or get_origin(here) is dict:
        return "mapping"
    if get_origin(here) is tuple:
        return "list"
    if here is None:
        return "unknown"
    return "value" if here in (int, float, bool) or _is_number_choice(here) else "text"


def _engine_leaf(key: str) -> Leaf:
    if argument := engine_args.known().get(key):
        return "text" if set(argument.types) <= {"string", "null"} and argument.types else "value"
    field = EmbeddingEngine.model_fields.get(key)
    return "text" if field and bare(field.annotation) not in (int, bool) else "value"


def _is_number_choice(annotation: object) -> bool:
    return get_origin(annotation) is Literal and not isinstance(get_args(annotation)[0], str)


def section_of(path: Path, known: Iterable[str]) -> str | None:
    """The section that knows the key at `path`, which was written one level too high."""
    key = str(path[-1])
    for name in known:
        if key in keys_at((*path[:-1], name)) or (name == "engine" and key in engine_args.allowed()):
            return name
    return None
