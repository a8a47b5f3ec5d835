"""What a directory asks for: a filter, a page, and which attributes. By query or by `/.search`."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from api.scim.attributes import Resource
from api.scim.desk import Desk
from api.scim.filters import Node, parse
from api.scim.projection import Projection
from api.scim.resources import MAX_RESULTS
from configs.errors import BadRequest, InvalidFilter


class Listing(Protocol):
    """Lists resources of one kind (`api.scim.users.listed`)."""

    def __call__(
        self, desk: Desk, wanted: Node | None, projection: Projection, *, skip: int, limit: int
    ) -> Awaitable[tuple[int, list[Resource]]]:
        """How many fit, and a page."""
        ...


@dataclass(frozen=True)
class Search:
    """One question. `start` counts from 1, as SCIM does."""

    wanted: Node | None
    start: int
    count: int
    projection: Projection

    @classmethod
    def of(cls, text: str, start: int, count: int, attributes: list[str], excluded: list[str]) -> "Search":
        """As a client says it; numbers out of range are taken as the nearest in it, as RFC 7644 wants.

        Raises:
            InvalidFilter: the filter cannot be read.
            BadRequest: both `attributes` and `excludedAttributes`.
        """
        wanted = parse(text) if text.strip() else None
        return cls(wanted, max(1, start), min(max(0, count), MAX_RESULTS), Projection.of(attributes, excluded))

    async def across(self, desk: Desk, listings: Sequence[Listing]) -> tuple[int, list[Resource]]:
        """A page through several kinds, one after the other; a kind without the filter's attributes has none.

        Raises:
            InvalidFilter: no kind has them.
        """
        total, rows, refused = 0, list[Resource](), list[InvalidFilter]()
        for listing in listings:
            skip, limit = max(0, self.start - 1 - total), self.count - len(rows)
            try:
                found, page = await listing(desk, self.wanted, self.projection, skip=skip, limit=limit)
            except InvalidFilter as error:
                refused.append(error)
                continue
            total, rows = total + found, rows + page
        if len(refused) == len(listings):
            raise refused[0]
        return total, rows


def search_of(body: Any) -> Search:  # noqa: ANN401  any JSON
    """The question in the body of `/.search`.

    Raises:
        BadRequest: it is none. Others as `Search.of`.
    """
    if not isinstance(body, dict):
        raise BadRequest("Send a JSON object.")
    given = {name.lower(): value for name, value in body.items()}
    text, start, count = given.get("filter") or "", given.get("startindex", 1), given.get("count", MAX_RESULTS // 5)
    if not isinstance(text, str) or any(isinstance(each, bool) or not isinstance(each, int) for each in (start, count)):
        raise BadRequest("`filter` is a text, `startIndex` and `count` are whole numbers.")
    start = min(start, 2**31 - 1)
    return Search.of(text, start, count, _names(given, "attributes"), _names(given, "excludedattributes"))


def _names(given: dict[str, Any], name: str) -> list[str]:
    names = given.get(name) or []
    names = names.split(",") if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise BadRequest(f"`{name}` is a list of attributes.")
    return names
