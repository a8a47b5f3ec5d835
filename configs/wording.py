"""Turn one pydantic error into a sentence for the operator.

It knows neither where a value came from nor the shapes; the caller hands in the names that the place knows.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from configs.forms import WORDS
from configs.redact import shown
from configs.suggest import Sentence, unknown

WANTED: Mapping[str, str] = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "greater_than": "> {gt:g}",
    "greater_than_equal": ">= {ge:g}",
    "less_than": "< {lt:g}",
    "less_than_equal": "<= {le:g}",
    "string_too_short": "at least {min_length} long",
    "string_too_long": "at most {max_length} long",
    "literal_error": "{expected}",
    "enum": "{expected}",
}


def sentence(error: Mapping[str, Any], known: Iterable[str]) -> Sentence:
    """What is wrong. `error` is one of `ValidationError.errors()`, `known` the keys that its level has."""
    loc, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        return unknown(loc[-1], known)
    if kind in SPECIAL:
        return Sentence(SPECIAL[kind](error))
    if kind not in WANTED:
        return Sentence(f"{name_of(loc)}: {error['msg']}")
    wanted = WANTED[kind].format(**error.get("ctx", {}))
    return Sentence(f"{name_of(loc)} must be {wanted} (got {got(error)})", *meant(error))


def _missing(error: Mapping[str, Any]) -> str:
    return f"key {str(error['loc'][-1])!r} is missing here"


def _own(error: Mapping[str, Any]) -> str:
    return f"{name_of(error['loc'])}: {error['ctx']['error']}"


def _form(error: Mapping[str, Any]) -> str:
    pattern = error["ctx"]["pattern"]
    return f"{name_of(error['loc'])} must be {WORDS.get(pattern, pattern)} (got {got(error)})"


SPECIAL: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": _missing,
    "value_error": _own,
    "string_pattern_mismatch": _form,
}


def name_of(loc: tuple[str | int, ...]) -> str:
    """`'port'`, or `entry 2 of 'allowed_hosts'` (counted from 0, as in a dotted path)."""
    if loc and isinstance(loc[-1], int):
        return f"entry {loc[-1]} of {str(loc[-2] if len(loc) > 1 else 'the list')!r}"
    return repr(str(loc[-1])) if loc else "the configuration"


def got(error: Mapping[str, Any]) -> str:
    """The offending value, cut short, secrets masked."""
    return shown(str(error["loc"][-1]) if error["loc"] else "", error["input"])


def meant(error: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The word and the choices it may be a misspelling of."""
    if error["type"] not in {"literal_error", "enum"} or not isinstance(error["input"], str):
        return "", ()
    choices = error["ctx"]["expected"].replace(" or ", ",").split(",")
    return error["input"], tuple(choice.strip("' ") for choice in choices)
