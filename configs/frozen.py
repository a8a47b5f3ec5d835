"""A mapping that never changes, for the free-form parts of frozen shapes.

It is a `dict`, so that JSON encoders, `**` and pickling (values cross to Ray workers) work as usual.
"""

from collections.abc import Mapping
from typing import Any, Generic, NoReturn, TypeVar

Value = TypeVar("Value")


class FrozenDict(dict[str, Value], Generic[Value]):
    """A read-only `dict`; every way to change it raises `TypeError`."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        message = "the configuration is frozen: it is read once at the start"
        raise TypeError(message)

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


def freeze(values: Mapping[str, Any]) -> FrozenDict[Any]:
    """The same values with mappings read-only and lists as tuples, all the way down."""
    return FrozenDict({key: _frozen(item) for key, item in values.items()})


def _frozen(value: object) -> object:
    if isinstance(value, Mapping):
        return freeze(value)
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def thaw(values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain `dict`s and `list`s that other libraries want; a copy, so changing it harms nobody."""
    return {key: _thawed(item) for key, item in values.items()}


def _thawed(value: object) -> object:
    if isinstance(value, Mapping):
        return thaw(value)
    return [_thawed(item) for item in value] if isinstance(value, list | tuple) else value
