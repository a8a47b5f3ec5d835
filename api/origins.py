"""From which web pages a request may come: our own, and those the operator names.

Two questions. May a page read an answer (CORS)? Only those of `general_settings.allowed_origins`; a page of ours needs
no leave. May a request pass that nothing but a cookie proves? Only from either, as a browser says it: another site's
page could make a browser send the cookie along. A key or a token in a header is sent by nobody unasked.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Self
from urllib.parse import urlsplit

from api.headers import Header
from configs.errors import Forbidden
from configs.specs import GeneralSettings

FOREIGN = "This request came from a page of another site."
UNSAID = "A request with a cookie must say from which page it comes (the header Origin)."
PORTS = {"http": ":80", "https": ":443"}
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
EXPOSED = b"x-request-id, openai-processing-ms, retry-after, location, etag"
PREFLIGHT_S = b"7200"
NAMES = re.compile(rb"^[A-Za-z0-9-]{1,64}( ?, ?[A-Za-z0-9-]{1,64}){0,63}\Z")
VARY: Header = (b"vary", b"origin")


class Origins:
    """Origins besides the request's own host."""

    def __init__(self, own: frozenset[str], allowed: frozenset[str]) -> None:
        self._known = own | allowed
        self._allowed = allowed

    @classmethod
    def of(cls, settings: GeneralSettings) -> Self:
        """From the configuration."""
        own = frozenset({_normal(settings.public_url)} if settings.public_url is not None else ())
        return cls(own, frozenset(map(_normal, settings.allowed_origins)))

    def check(self, scope: MutableMapping[str, Any]) -> None:
        """Let a request pass whose cookie counts: a browser says from which page it comes.

        Raises:
            Forbidden: it comes from another site's page, or does not say from where.
        """
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin:
            host = headers.get(b"host", b"").decode("latin-1")
            if _normal(origin) in self._known or _is_own(origin, host, scope["scheme"]):
                return
            raise Forbidden(FOREIGN)
        if headers.get(b"sec-fetch-site") != b"same-origin":
            raise Forbidden(UNSAID)

    def headers(self, asked: Mapping[bytes, bytes]) -> tuple[Header, ...]:
        """What an answer to a request with these headers tells the browser of another page: mostly nothing."""
        if not self._allowed:
            return ()
        origin = asked.get(b"origin", b"")
        if not self._may_read(origin):
            return (VARY,)
        return (
            VARY,
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", EXPOSED),
        )

    def preflight(self, asked: Mapping[bytes, bytes]) -> tuple[Header, ...] | None:
        """What a browser is told that asks before it sends; None where there is nothing to grant."""
        origin, wanted = asked.get(b"origin", b""), asked.get(b"access-control-request-headers", b"")
        if b"access-control-request-method" not in asked or not self._may_read(origin):
            return None
        granted = ((b"access-control-allow-methods", METHODS), (b"access-control-max-age", PREFLIGHT_S))
        return (*granted, (b"access-control-allow-headers", wanted)) if NAMES.match(wanted) else granted

    def _may_read(self, origin: bytes) -> bool:
        return bool(origin) and _normal(origin.decode("latin-1")) in self._allowed


def _normal(origin: str) -> str:
    """As a browser writes it: in lower case, without the scheme's own port."""
    scheme, _, host = origin.lower().rstrip("/").partition("://")
    return f"{scheme}://{host.removesuffix(PORTS.get(scheme, '/'))}"


def _is_own(origin: str, host: str, scheme: str) -> bool:
    """The page's host is the one that the request names; a page without TLS does not speak for one with TLS."""
    try:
        page = urlsplit(origin.lower())
    except ValueError:
        return False
    own = PORTS.get(page.scheme)
    if own is None or not page.netloc or (page.scheme == "http" and scheme == "https"):
        return False
    return page.netloc.removesuffix(own) == host.lower().removesuffix(own)
