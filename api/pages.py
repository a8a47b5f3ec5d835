"""Lists in pages, as OpenAI has them: `limit` and `after` (the last id of the page before) in, `has_more` out."""

from typing import Annotated, Any

from fastapi import Query, Response

from api.answers import json_answer

Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(min_length=1, max_length=128)]


def page(rows: list[dict[str, Any]], limit: int) -> Response:
    """A page of at most `limit`; `rows` has one more when there is another page."""
    return part(rows[:limit], more=len(rows) > limit)


def part(data: list[dict[str, Any]], *, more: bool) -> Response:
    """A page, and whether there is another one."""
    return json_answer(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": more,
        }
    )


def whole(rows: list[dict[str, Any]]) -> Response:
    """A list that is always short."""
    return json_answer({"object": "list", "data": rows})
