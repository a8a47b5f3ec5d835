"""A JSON body to a checked request, or an error that names the field and what was expected, never what was sent."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from api.context import Context
from configs.errors import BadRequest, UnsupportedParameter

Shape = TypeVar("Shape", bound=BaseModel)
MAX_PARAM = 120
LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "finite_number": "a finite number",
    "none_required": "null",
}


class Wire(BaseModel):
    """Base of request shapes: unknown fields are refused, and nothing is converted from another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class Wrong(ValueError):
    """What a shape finds wrong itself, as a sentence; `field` is where in the shape, none where it is all of it."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message, field)
        self.message = message
        self.field = field


def read(shape: type[Shape], context: Context) -> Shape:
    """The request's JSON body as `shape`.

    Raises:
        BadRequest: no JSON object, or a field that is missing or out of range.
        UnsupportedParameter: a field that is not of this route.
    """
    if not isinstance(context.json, dict):
        raise BadRequest("Send a JSON object with the header `content-type: application/json`.")
    return checked(shape, context.json)


def checked(shape: type[Shape], value: Mapping[str, Any]) -> Shape:
    """A value from elsewhere, such as a form, as `shape`. Errors as `read`."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise explain(error) from None


def explain(error: ValidationError) -> BadRequest:
    """The first thing that is wrong, in our words."""
    problem: Any = error.errors(include_url=False, include_input=False)[0]
    param = param_of(problem["loc"])
    kind, context = problem["type"], problem.get("ctx", {})
    own = context.get("error")
    if isinstance(own, Wrong):
        return BadRequest(own.message, param=_joined(param, own.field))
    if kind == "extra_forbidden":
        return UnsupportedParameter(f"Unknown parameter: {param!r}.", param=param)
    if kind == "missing":
        return BadRequest(f"Missing required parameter: {param!r}.", param=param)
    return BadRequest(f"Invalid value for {param!r}: expected {_expected(kind, context, own)}.", param=param)


def _joined(place: str, field: str) -> str:
    return f"{place}.{field}"[:MAX_PARAM] if place and field else place or field


BRANCHES_OF = {"content", "tool_choice"}
BRANCHES_IN = {"content", "messages"}
"""Fields whose value, or whose items, pydantic names by their branch: `messages[0].user.content.parts[1].text`."""


def param_of(location: tuple[int | str, ...]) -> str:
    """`messages[0].content`, as OpenAI names fields; names of union branches are left out."""
    text, name, branch_next = "", "", False
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
            branch_next = name in BRANCHES_IN
        elif branch_next:
            branch_next = False
        elif step.isidentifier() and step == step.lower():
            text += f".{step}" if text else step
            name, branch_next = step, step in BRANCHES_OF
    return text[:MAX_PARAM]


def _expected(kind: str, context: dict[str, Any], own: object) -> str:
    if kind in LIMITS:
        key, words = LIMITS[kind]
        return f"{words} {context[key]}"
    if kind in ("too_long", "string_too_long"):
        return (
            f"at most {context['max_length']} of them"
            if kind == "too_long"
            else f"at most {context['max_length']} characters"
        )
    if kind in ("too_short", "string_too_short"):
        return f"at least {context['min_length']}"
    if kind in ("literal_error", "enum"):
        return f"one of {context['expected']}"
    if kind == "value_error" and own is not None:
        return str(own)
    return EXPECTED.get(kind, "another form")
