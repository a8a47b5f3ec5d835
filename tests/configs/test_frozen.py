import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from configs.frozen import FrozenDict, freeze, thaw

CHANGES: dict[str, Callable[[FrozenDict[Any]], object]] = {
    "set": lambda frozen: frozen.__setitem__("b", 2),
    "delete": lambda frozen: frozen.__delitem__("a"),
    "or": lambda frozen: frozen.__ior__({"b": 2}),
    "update": lambda frozen: frozen.update(b=2),
    "pop": lambda frozen: frozen.pop("a"),
    "popitem": lambda frozen: frozen.popitem(),
    "setdefault": lambda frozen: frozen.setdefault("b", 2),
    "clear": lambda frozen: frozen.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_refused(change: str) -> None:
    frozen = FrozenDict({"a": 1})

    with pytest.raises(TypeError, match="the configuration is frozen"):
        CHANGES[change](frozen)
    assert frozen == {"a": 1}


def test_it_is_a_dict_to_everybody_else() -> None:
    frozen = freeze({"a": {"b": [1, {"c": 2}]}})

    assert json.dumps(frozen) == '{"a": {"b": [1, {"c": 2}]}}'
    assert dict(**frozen) == frozen
    assert pickle.loads(pickle.dumps(frozen)) == frozen
    assert copy.deepcopy(frozen) == frozen
    assert type(copy.deepcopy(frozen)["a"]) is FrozenDict


def test_thaw_gives_back_what_freeze_took() -> None:
    values = {"a": {"b": [1, {"c": 2}]}, "d": "text"}

    assert thaw(freeze(values)) == values
    assert type(thaw(freeze(values))["a"]["b"][1]) is dict
