"""Attributes as the schemas describe them, and resources as plain dictionaries in the schema's spelling.

Names of attributes are the same in any case (RFC 7643, 2.1). What a directory sends beyond the schema is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.scim.resources import GROUP, USER, schemas
from configs.errors import InvalidValue

LONGEST_TEXT = 1024
MOST_VALUES = 20_000
TRUTHS = {"true": True, "false": False}
Resource = dict[str, Any]


@dataclass(frozen=True)
class Attribute:
    """One attribute of a schema."""

    name: str
    type: str
    many: bool = False
    required: bool = False
    read_only: bool = False
    case_exact: bool = False
    parts: Mapping[str, "Attribute"] = field(default_factory=dict)
    """Sub-attributes by their name in lower case."""


Shape = Mapping[str, Attribute]
"""A resource's attributes by their name in lower case."""


def _attribute(told: dict[str, Any]) -> Attribute:
    return Attribute(
        told["name"],
        told["type"],
        many=told["multiValued"],
        required=told.get("required", False),
        read_only=told.get("mutability") == "readOnly",
        case_exact=told.get("caseExact", False),
        parts={each["name"].lower(): _attribute(each) for each in told.get("subAttributes", [])},
    )


def _shape(urn: str) -> Shape:
    common = [
        Attribute("id", "string", read_only=True, case_exact=True),
        Attribute("externalId", "string", case_exact=True),
        Attribute("meta", "complex", read_only=True),
        Attribute("schemas", "reference", many=True, read_only=True),
    ]
    own = [_attribute(told) for told in schemas("")[urn]["attributes"]]
    return {each.name.lower(): each for each in (*common, *own)}


USERS, GROUPS = _shape(USER), _shape(GROUP)


def taken(shape: Shape, body: Any) -> Resource:  # noqa: ANN401  any JSON
    """What a directory may set, in the schema's spelling; read-only and unknown attributes are left out.

    Raises:
        InvalidValue: it is no object, or a value has another type than the schema says.
    """
    if not isinstance(body, dict):
        raise InvalidValue("Send a JSON object.")
    found: Resource = {}
    for name, value in body.items():
        attribute = shape.get(name.lower())
        if attribute is not None and not attribute.read_only:
            kept = value_of(attribute, value)
            if kept is not None:
                found[attribute.name] = kept
    return found


def value_of(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401  any JSON
    """A value as the schema has it; None for one that says nothing (null, an empty list or object).

    Raises:
        InvalidValue: it has another type.
    """
    if value is None:
        return None
    if not attribute.many:
        return _single(attribute, value)
    values = value if isinstance(value, list) else [value]
    if len(values) > MOST_VALUES:
        raise InvalidValue(f"{attribute.name!r} has more than {MOST_VALUES} values.")
    kept = [each for each in (_single(attribute, each) for each in values) if each is not None]
    if sum(isinstance(each, dict) and each.get("primary") is True for each in kept) > 1:
        raise InvalidValue(f"{attribute.name!r} has more than one primary value.")
    return kept or None


def _single(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401  any JSON
    if attribute.type == "complex":
        if isinstance(value, str) and attribute.many:
            value = {"value": value}
        return taken(attribute.parts, value) or None
    if attribute.type == "boolean":
        known = TRUTHS.get(value.lower()) if isinstance(value, str) else value  # Entra ID writes "True"
        if isinstance(known, bool):
            return known
    elif isinstance(value, str) and len(value) <= LONGEST_TEXT:
        return value
    raise InvalidValue(f"{attribute.name!r} must be {'true or false' if attribute.type == 'boolean' else 'a text'}.")


def require(shape: Shape, resource: Resource) -> Resource:
    """The resource, if it has all required texts.

    Raises:
        InvalidValue: one is missing or blank.
    """
    for attribute in shape.values():
        value = resource.get(attribute.name)
        if attribute.required and attribute.type == "string" and not (value and value.strip()):
            raise InvalidValue(f"{attribute.name!r} is required.")
    return resource
