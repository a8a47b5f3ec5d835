"""Sign-ins with a provider that are under way, kept in the database until the browser comes back: each works once.

A ceremony is found by the digest of its state and belongs to one browser, which holds a random binding in a cookie: so
nobody can end in somebody else's browser what they began in their own (login CSRF).
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

from api.db import ceremonies
from api.db.session import Database
from api.identity.providers.protocol import Ceremony
from configs.errors import SignInRefused

KIND = "oidc"
LIFETIME_S = 600
OVER = "This sign-in is over, or was begun in another browser. Begin again from the login page."


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to happen when the browser comes back.

    `link_to` is a person and `session_id` their session, where an identity is to be linked; else somebody signs in, and
    may register with `proof` (the digest of an invitation, in hexadecimal) and the documents that they accepted.
    """

    link_to: str | None = None
    session_id: str | None = None
    proof: str | None = None
    accepts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begun:
    """A ceremony as it was begun."""

    ceremony: Ceremony
    redirect_uri: str
    wish: Wish


class CeremonyBook:
    """Keeps ceremonies and gives each back once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, provider: str, begun: Begun, binding: str) -> None:
        """Remember a ceremony of `provider` for the browser that holds `binding`."""
        payload = {
            "provider": provider,
            "nonce": begun.ceremony.nonce,
            "verifier": begun.ceremony.verifier,
            "redirect_uri": begun.redirect_uri,
            "binding": _digest(binding).hex(),
            "wish": {
                "link_to": begun.wish.link_to,
                "session_id": begun.wish.session_id,
                "proof": begun.wish.proof,
                "accepts": begun.wish.accepts,
            },
        }
        async with self._database.unit() as unit:
            await ceremonies.begin(unit, _digest(begun.ceremony.state), KIND, payload, lifetime_s=LIFETIME_S)

    async def take(self, provider: str, state: str, binding: str | None) -> Begun:
        """The ceremony of this state; whoever asks again finds it gone.

        Raises:
            SignInRefused: there is none, it is over, or it belongs to another provider or browser.
        """
        async with self._database.unit() as unit:
            payload: dict[str, Any] | None = await ceremonies.take(unit, _digest(state), KIND)
        if payload is None or payload["provider"] != provider or binding is None:
            raise SignInRefused(OVER)
        if not compare_digest(payload["binding"], _digest(binding).hex()):
            raise SignInRefused(OVER)
        ceremony = Ceremony(state, payload["nonce"], payload["verifier"])
        return Begun(ceremony, payload["redirect_uri"], Wish(**payload["wish"]))


def new_binding() -> str:
    """A random text for a browser's cookie."""
    return secrets.token_urlsafe(32)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
