"""JSON answers of our own routes."""

from typing import Any

import orjson
from starlette.responses import Response


def json_answer(body: dict[str, Any], status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")
