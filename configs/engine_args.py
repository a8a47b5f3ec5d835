"""The engine arguments that a chat model's `engine:` may hold, without importing vLLM.

Names, types and help come from `engine_args.json` (made by `scripts/engine_args.py`). Checked here are spelling and
JSON type; whether values fit together only vLLM knows, when the engine starts.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from configs.faults import Fault
from configs.redact import shown
from configs.refused import ONLY_VALUES, REFUSED, REFUSED_VALUES
from configs.suggest import Sentence, any_of, unknown

TYPE_WORDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


class Argument(NamedTuple):
    """One argument: `group` is `engine` (AsyncEngineArgs) or `server` (vLLM's front end); no types stands for any."""

    group: str
    types: tuple[str, ...]
    choices: tuple[str | int, ...]
    help: str

    def takes(self, value: object) -> bool:
        """Whether the value has one of the JSON types and is one of the choices, if these are closed."""
        kind = json_type(value)
        fits = not self.types or kind in self.types or (kind == "integer" and "number" in self.types)
        return fits and (not self.choices or value is None or value in self.choices)

    @property
    def wanted(self) -> str:
        """What a value must be, in words."""
        words = [repr(choice) for choice in self.choices] or [TYPE_WORDS[name] for name in self.types if name != "null"]
        return any_of(words)


@cache
def known() -> Mapping[str, Argument]:
    """Every argument of the pinned vLLM by its name, refused ones too."""
    content = json.loads(files("configs").joinpath("engine_args.json").read_bytes())
    return {
        name: Argument(raw["group"], tuple(raw.get("type", ())), tuple(raw.get("choices", ())), raw["help"])
        for name, raw in content["arguments"].items()
    }


@cache
def allowed() -> tuple[str, ...]:
    """The names that a file may set."""
    return tuple(name for name in known() if name not in REFUSED)


def check(engine: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with the `engine:` of a vLLM model."""
    for key, value in engine.items():
        if refusal := REFUSED.get(key):
            yield Fault((key,), f"{key!r} is refused: {refusal.reason}; {refusal.fix}", on_key=True)
        elif key not in known():
            yield Fault((key,), unknown(key, allowed()), on_key=True)
        elif message := wrong_value(key, value):
            yield Fault((key,), message)


def wrong_value(key: str, value: object) -> str | Sentence | None:
    """What is wrong with the value of a known argument, or None."""
    argument = known()[key]._replace(choices=choices_of(key))
    if not argument.takes(value):
        text = f"{key!r} must be {argument.wanted} (got {shown(key, value)})"
        return Sentence(text, value if isinstance(value, str) else "", tuple(map(str, argument.choices)))
    if isinstance(value, str) and (reason := REFUSED_VALUES.get(key, {}).get(value)):
        return f"{key!r} may not be {value!r}: {reason}"
    return None


def choices_of(key: str) -> tuple[str | int, ...]:
    """The closed choices of an argument, empty where it has none."""
    return ONLY_VALUES.get(key) or known()[key].choices


def json_type(value: object) -> str:
    """The JSON name of a value's type (`bool` first: in Python it is an `int`)."""
    names: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    fallback = "object" if isinstance(value, Mapping) else "array"
    return names.get(type(value), fallback)
