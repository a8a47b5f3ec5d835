"""The one cookie: a session's refresh token. Scripts cannot read it, other sites cannot send it."""

from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.responses import Response

NAME = "manta_refresh"
HOST_NAME = "__Host-manta_refresh"
"""Over TLS: a browser takes it from this very host and over TLS only (RFC 6265bis, cookie prefixes)."""


def set_refresh(response: Response, scope: MutableMapping[str, Any], token: str, seconds: int) -> None:
    """Hand the refresh token over; `seconds` 0 takes it away."""
    secure = scope["scheme"] == "https"
    response.set_cookie(
        HOST_NAME if secure else NAME,
        token,
        max_age=seconds,
        path="/" if secure else "/api/auth",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def refresh_of(scope: MutableMapping[str, Any]) -> str | None:
    """The refresh token that a request carries."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            found = _read(value.decode("latin-1"))
            if found is not None:
                return found
    return None


def _read(header: str) -> str | None:
    try:
        jar: SimpleCookie = SimpleCookie(header)
    except CookieError:
        return None
    morsel = jar.get(HOST_NAME) or jar.get(NAME)
    return morsel.value if morsel is not None and morsel.value else None
