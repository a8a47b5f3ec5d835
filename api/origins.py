"""From which web pages a request may come that a cookie proves: our own, and those the operator names."""

from collections.abc import MutableMapping
from typing import Any, Self
from urllib.parse import urlsplit

from configs.errors import Forbidden
from configs.specs import GeneralSettings

FOREIGN = "This request came from a page of another site."


class Origins:
    """Origins besides the request's own host."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed

    @classmethod
    def of(cls, settings: GeneralSettings) -> Self:
        """From the configuration."""
        named = {str(origin).rstrip("/").lower() for origin in getattr(settings, "allowed_origins", ())}
        if settings.public_url is not None:
            named.add(str(settings.public_url).rstrip("/").lower())
        return cls(frozenset(named))

    def check(self, scope: MutableMapping[str, Any]) -> None:
        """Let a request pass whose cookie counts: a browser says from which page it comes.

        Raises:
            Forbidden: it comes from another site's page, or does not say from where.
        """
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin:
            if (
                origin in self._allowed
                or urlsplit(origin).netloc == headers.get(b"host", b"").decode("latin-1").lower()
            ):
                return
            raise Forbidden(FOREIGN)
        if headers.get(b"sec-fetch-site") != b"same-origin":
            raise Forbidden("A request with a cookie must say from which page it comes (the header Origin).")
