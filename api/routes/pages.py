"""The API's description of itself, and the page where links of invitations and mails lead."""

from pathlib import Path

from fastapi import Request, Response

from api.answers import json_answer
from api.policy import guarded_router, public

router = guarded_router()

WELCOME = Path(__file__).parent.parent / "welcome"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


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


@router.get("/welcome", include_in_schema=False)
@public
async def welcome() -> Response:
    """Where a link of an invitation or a mail is opened."""
    return _file("page.html", "text/html; charset=utf-8")


@router.get("/welcome.js", include_in_schema=False)
@public
async def welcome_script() -> Response:
    """Its script."""
    return _file("page.js", "text/javascript; charset=utf-8")


@router.get("/welcome.css", include_in_schema=False)
@public
async def welcome_style() -> Response:
    """Its looks."""
    return _file("page.css", "text/css; charset=utf-8")


def _file(name: str, media_type: str) -> Response:
    headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}
    return Response((WELCOME / name).read_bytes(), 200, headers, media_type)
