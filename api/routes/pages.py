"""The API's description of itself."""

from fastapi import Request, Response

from api.answers import json_answer
from api.policy import guarded_router, public

router = guarded_router()


@router.get("/", include_in_schema=False)
@public
async def front_page() -> Response:
    """What this is, for who opens it in a browser."""
    links = {"openapi": "/openapi.json", "models": "/v1/models", "ready": "/readyz", "metrics": "/metrics"}
    return json_answer({"name": "Manta", "links": links})


@router.get("/openapi.json", include_in_schema=False)
@public
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return json_answer(request.app.openapi())
