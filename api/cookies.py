"""The two cookies, which scripts cannot read: a session's refresh token, which other sites cannot make a browser send,
and what binds a sign-in under way to its browser, which comes along when a provider sends the browser back.
"""

from collections.abc import MutableMapping
from typing import Any

from starlette.responses import Response

NAME = "manta_refresh"
HOST_NAME = "__Host-manta_refresh"
"""Over TLS: a browser takes it from this very host and over TLS only (RFC 6265bis, cookie prefixes)."""


BINDING_NAME = "manta_sign_in"
HOST_BINDING_NAME = "__Host-manta_sign_in"
MAX_BINDING = 64


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


def set_binding(response: Response, scope: MutableMapping[str, Any], binding: str, seconds: int) -> None:
    """Bind a sign-in to this browser for a while."""
    secure = scope["scheme"] == "https"
    response.set_cookie(
        HOST_BINDING_NAME if secure else BINDING_NAME,
        binding,
        max_age=seconds,
        path="/" if secure else "/api/auth",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def binding_of(scope: MutableMapping[str, Any]) -> str | None:
    """What binds sign-ins to the browser that sent this; over TLS only the cookie that no other site can plant."""
    found = _found(scope, HOST_BINDING_NAME if scope["scheme"] == "https" else BINDING_NAME)
    return found if found is not None and len(found) <= MAX_BINDING else None


def refresh_of(scope: MutableMapping[str, Any]) -> str | None:
    """The refresh token that a request carries; over TLS only the cookie that no other site can plant."""
    return _found(scope, HOST_NAME if scope["scheme"] == "https" else NAME)


def _found(scope: MutableMapping[str, Any], name: str) -> str | None:
    """Read as RFC 6265 says: another program's cookies, whatever they look like, stand beside ours and hide none."""
    headers = (value.decode("latin-1") for header, value in scope["headers"] if header == b"cookie")
    pairs = (pair.partition("=") for header in headers for pair in header.split(";"))
    values = (value.strip(" \t") for key, _, value in pairs if key.strip(" \t") == name)
    return next((value for value in values if value), None)
