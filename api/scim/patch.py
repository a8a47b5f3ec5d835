"""SCIM's PATCH (RFC 7644, 3.5.2) on a resource as a plain dictionary, with the ways that Okta and Entra ID have of it.

An operation on an attribute that Manta does not keep does nothing: a directory's default mapping has many of them.
"""

import copy
import re
from dataclasses import dataclass
from typing import Any

from api.scim import filters
from api.scim.attributes import Attribute, Resource, Shape, taken, value_of
from api.scim.filters import Compare, Node
from configs.errors import BadRequest, InvalidPath, InvalidValue, NoTarget, ReadOnlyAttribute

MOST_OPERATIONS = 1000
OPERATIONS = {"add", "replace", "remove"}
PATH = re.compile(r"^([a-z$][a-z0-9_$-]*)(?:\[(.*)\])?(?:\.([a-z$][a-z0-9_$-]*))?$", re.I | re.S)
URN = re.compile(r"^urn:", re.I)


@dataclass(frozen=True, slots=True)
class Target:
    """Where an operation acts: an attribute, which of its values, which part of them; names in lower case."""

    name: str
    where: Node | None = None
    part: str | None = None


class Known(dict[str, set[Any]]):
    """The identities of an attribute's values, by its name, as long as operations only add to them."""

    def of(self, name: str, values: list[Any]) -> set[Any]:
        """Those of `values`, which are the attribute's."""
        if name not in self:
            self[name] = {_identity(each) for each in values}
        return self[name]


def patched(shape: Shape, resource: Resource, body: Any) -> Resource:  # noqa: ANN401  any JSON
    """The resource after all operations of a PATCH body, which either all happen or none.

    Raises:
        BadRequest: the body is no list of operations.
        InvalidPath: a path cannot be read.
        InvalidValue: a value does not fit the schema, or a required attribute would be gone.
        NoTarget: nothing there to replace, or a removal without a path.
        ReadOnlyAttribute: the path names one that only the service sets.
    """
    given = {name.lower(): value for name, value in body.items()} if isinstance(body, dict) else {}
    operations = given.get("operations")
    if not isinstance(operations, list) or not operations or len(operations) > MOST_OPERATIONS:
        raise BadRequest(f"Send `Operations`, a list of 1 to {MOST_OPERATIONS} operations.", param="Operations")
    found, known = copy.deepcopy(resource), Known()
    for operation in operations:
        _apply(shape, found, known, operation)
    return found


def target_of(path: str) -> Target | None:
    """What a path names; None for an attribute of another schema.

    Raises:
        InvalidPath: it cannot be read.
        InvalidFilter: its filter cannot.
    """
    text = filters.PREFIX.sub("", path.strip())
    if URN.match(text):
        return None
    found = PATH.match(text)
    if found is None:
        raise InvalidPath(
            "A path cannot be read; write it as `attribute`, `attribute.part` or `attribute[filter].part`."
        )
    where = filters.parse(found[2]) if found[2] is not None else None
    return Target(found[1].lower(), where, found[3].lower() if found[3] else None)


def _apply(shape: Shape, resource: Resource, known: Known, operation: Any) -> None:  # noqa: ANN401  any JSON
    given = {name.lower(): value for name, value in operation.items()} if isinstance(operation, dict) else {}
    kind = str(given.get("op", "")).lower()  # Entra ID writes "Add"
    if kind not in OPERATIONS:
        raise BadRequest("`op` is one of add, replace and remove.", param="op")
    path, value = given.get("path"), given.get("value")
    if path is not None:
        if not isinstance(path, str):
            raise InvalidPath("`path` must be a text.")
        _act(shape, resource, known, kind, target_of(path), value, strict=True)
        return
    if kind == "remove":
        raise NoTarget("A removal needs a `path`.")
    if not isinstance(value, dict):
        raise InvalidValue("Without a `path`, `value` must be an object.")
    for name, each in value.items():
        _act(shape, resource, known, kind, target_of(name), each, strict=False)


def _act(
    shape: Shape, resource: Resource, known: Known, kind: str, target: Target | None, value: Any, *, strict: bool  # noqa: ANN401
) -> None:  # fmt: skip
    attribute = shape.get(target.name) if target is not None else None
    if target is None or attribute is None:
        return
    if attribute.read_only:
        if strict:
            raise ReadOnlyAttribute(f"{attribute.name!r} is set by the service only.")
        return
    if target.where is None and target.part is None and kind == "add" and attribute.many:
        _add(attribute, resource, known, value)
        return
    known.pop(attribute.name, None)
    if target.where is not None:
        _on_some(attribute, resource, kind, target.where, target.part, value)
    elif target.part is not None:
        _on_part(attribute, resource, kind, target.part, value)
    elif kind == "remove":
        _remove(attribute, resource, value)
    else:
        _put(attribute, resource, kind, value)
    if resource.get(attribute.name) in (None, [], {}):
        resource.pop(attribute.name, None)


def _add(attribute: Attribute, resource: Resource, known: Known, value: Any) -> None:  # noqa: ANN401  any JSON
    """Add to many values those that are not among them, at the cost of the new ones alone."""
    new = value_of(attribute, value)
    if new is None:
        raise InvalidValue(f"There is nothing to add to {attribute.name!r}.")
    values = resource.setdefault(attribute.name, [])
    there, before = known.of(attribute.name, values), len(values)
    for each in new:
        if _identity(each) not in there:
            values.append(each)
            there.add(_identity(each))
    if "primary" in attribute.parts:
        _keep_one_primary(values, before)
    if not values:
        del resource[attribute.name]


def _put(attribute: Attribute, resource: Resource, kind: str, value: Any) -> None:  # noqa: ANN401  any JSON
    new, old = value_of(attribute, value), resource.get(attribute.name)
    if new is None and attribute.required:
        raise InvalidValue(f"{attribute.name!r} is required.")
    if new is None and kind == "add":
        raise InvalidValue(f"There is nothing to add to {attribute.name!r}.")
    if attribute.type == "complex" and not attribute.many and new is not None:
        new = {**(old or {}), **new}
    resource[attribute.name] = new


def _remove(attribute: Attribute, resource: Resource, value: Any) -> None:  # noqa: ANN401  any JSON
    """Remove all, or of many the named ones, as Entra ID does."""
    if attribute.required:
        raise InvalidValue(f"{attribute.name!r} is required.")
    named = value_of(attribute, value) if attribute.many else None
    if named is None:
        resource[attribute.name] = None
        return
    gone = {_identity(each) for each in named}
    resource[attribute.name] = [each for each in resource.get(attribute.name, []) if _identity(each) not in gone]


def _on_part(attribute: Attribute, resource: Resource, kind: str, part: str, value: Any) -> None:  # noqa: ANN401
    """A part of an object, or of every value of many."""
    inner = _part(attribute, part)
    if inner is None:
        return
    before = resource.get(attribute.name)
    values: list[Resource] = (before or [{}]) if attribute.many else [before or {}]
    for each in values:
        _set_part(each, inner, kind, value)
    resource[attribute.name] = [each for each in values if each] if attribute.many else values[0]


def _on_some(
    attribute: Attribute, resource: Resource, kind: str, where: Node, part: str | None, value: Any  # noqa: ANN401
) -> None:  # fmt: skip
    """Those of many values that fit a filter."""
    if not attribute.many:
        raise InvalidPath(f"{attribute.name!r} has one value only, which no filter can choose.")
    values: list[Resource] = resource.get(attribute.name) or []
    inner = _part(attribute, part) if part is not None else None
    if part is not None and inner is None:
        return
    chosen: list[Resource] = []
    others: list[Resource] = []
    for each in values:
        (chosen if filters.matches(where, each) else others).append(each)
    if kind == "remove" and inner is None:
        resource[attribute.name] = others
        return
    if kind == "remove" and not chosen:
        return
    if not chosen:
        chosen = [_made_to_fit(attribute, where)]
        values = [*values, chosen[0]]
    for each in chosen:
        if inner is not None:
            _set_part(each, inner, kind, value)
        else:
            each.update(taken(attribute.parts, value))
    _keep_one_primary(values, next(at for at, each in enumerate(values) if each is chosen[0]))
    resource[attribute.name] = values


def _made_to_fit(attribute: Attribute, where: Node) -> Resource:
    """A new value that fits `type eq "work"`: Entra ID sets `emails[type eq "work"].value` where there is none yet."""
    if not isinstance(where, Compare) or where.operator != "eq":
        raise NoTarget(f"No value of {attribute.name!r} fits the filter.")
    return taken(attribute.parts, {where.attribute: where.value})


def _set_part(value: Resource, part: Attribute, kind: str, given: Any) -> None:  # noqa: ANN401  any JSON
    new = None if kind == "remove" else value_of(part, given)
    if new is None:
        value.pop(part.name, None)
    else:
        value[part.name] = new


def _part(attribute: Attribute, part: str) -> Attribute | None:
    if not attribute.parts:
        raise InvalidPath(f"{attribute.name!r} has no parts.")
    return attribute.parts.get(part)


def _identity(value: Any) -> Any:  # noqa: ANN401  any JSON
    """By what two values of many are the same: their `value`, else everything."""
    if not isinstance(value, dict):
        return value
    return value["value"] if "value" in value else tuple(sorted(value.items()))


def _keep_one_primary(values: list[Any], new_from: int) -> None:
    """A new primary value takes that from the one before."""
    primaries = [at for at, each in enumerate(values) if isinstance(each, dict) and each.get("primary") is True]
    keep = next((at for at in primaries if at >= new_from), primaries[0] if primaries else -1)
    for at in primaries:
        if at != keep:
            values[at]["primary"] = False
