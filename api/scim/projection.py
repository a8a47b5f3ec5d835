"""Which attributes an answer has: `attributes` and `excludedAttributes` (RFC 7644, 3.9)."""

from dataclasses import dataclass

from api.scim.attributes import Resource
from api.scim.filters import PREFIX
from configs.errors import BadRequest

ALWAYS = {"id", "schemas"}


@dataclass(frozen=True)
class Projection:
    """Only these, or all but those; names in lower case, `name.givenname` for a part."""

    only: frozenset[str] = frozenset()
    but: frozenset[str] = frozenset()

    @classmethod
    def of(cls, attributes: list[str], excluded: list[str]) -> "Projection":
        """As a client names them.

        Raises:
            BadRequest: both at once.
        """
        only, but = _names(attributes), _names(excluded)
        if only and but:
            raise BadRequest("Send `attributes` or `excludedAttributes`, not both.", param="excludedAttributes")
        return cls(only, but)

    def wants(self, name: str) -> bool:
        """Whether the answer has an attribute, so that one that costs a query can be left out."""
        name = name.lower()
        if self.only:
            return name in self.only or any(each.startswith(f"{name}.") for each in self.only)
        return name not in self.but

    def __call__(self, resource: Resource) -> Resource:
        """The resource with the attributes that are wanted; its id and schemas are always there."""
        return {
            name: self._parts(name, value)
            for name, value in resource.items()
            if name in ALWAYS or self.wants(name)
        }  # fmt: skip

    def _parts(self, name: str, value: object) -> object:
        name = name.lower()
        whole = name in ALWAYS or not (self.only or self.but) or name in self.only
        if whole:
            return value
        if isinstance(value, list):
            return [self._parts(name, each) for each in value]
        if not isinstance(value, dict):
            return value
        if self.only:
            return {part: each for part, each in value.items() if f"{name}.{part.lower()}" in self.only}
        return {part: each for part, each in value.items() if f"{name}.{part.lower()}" not in self.but}


def _names(names: list[str]) -> frozenset[str]:
    return frozenset(PREFIX.sub("", each.strip()).lower() for each in names if each.strip())
