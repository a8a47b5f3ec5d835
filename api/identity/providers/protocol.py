"""What a sign-in provider is: it names an address to send a person to, and turns the code they bring back into a who.

Who that is here, and whether they may come in, is not known at this level.
"""

import logging
import secrets
from dataclasses import dataclass
from typing import Protocol, Self

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from configs.errors import SignInRefused
from configs.provider_specs import ProviderSpec

log = logging.getLogger(__name__)

SECRET_BYTES = 32
MAX_SUBJECT = 255
MAX_EMAIL = 254
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Ceremony:
    """One login under way: three secrets, made for it alone. Only `state` and derivatives of the others travel."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def begin(cls) -> Self:
        """A new one."""
        state, nonce, verifier = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(3))
        return cls(state, nonce, verifier)

    @property
    def challenge(self) -> str:
        """PKCE's S256 challenge to the verifier (RFC 7636)."""
        challenge: str = create_s256_code_challenge(self.verifier)
        return challenge


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a provider says somebody is. Only issuer and subject together name them; all else is decoration.

    `email` is in lower case where the provider vouches for it (`email_verified`) or not.
    """

    issuer: str
    subject: str
    email: str | None = None
    email_verified: bool = False
    name: str | None = None


class Provider(Protocol):
    """One configured provider."""

    spec: ProviderSpec
    issuer: str
    """Whose subjects its identities are."""

    async def authorization_url(self, redirect_uri: str, ceremony: Ceremony) -> str:
        """Where to send the browser.

        Raises:
            SignInRefused: what the provider says of itself does not hold.
            Unavailable: it does not answer.
        """

    async def identity(self, code: str, redirect_uri: str, ceremony: Ceremony, issuer: str | None = None) -> Identity:
        """Who came back with `code`. `issuer` is the `iss` that came with it (RFC 9207), if any.

        Raises:
            SignInRefused: the code is not good, or what the provider says does not hold.
            Unavailable: it does not answer.
        """


def refusal(spec: ProviderSpec, why: str) -> SignInRefused:
    """The error for a sign-in that is not believed, after a line in the log. `why` is our own text."""
    log.warning("sign-in with provider %s refused: %s", spec.name, why)
    return SignInRefused(f"Signing in with {spec.words} was refused: {why}. Begin again from the login page.")


def checked_subject(spec: ProviderSpec, subject: object) -> str:
    """A subject as it may be kept.

    Raises:
        SignInRefused: it is none.
    """
    if isinstance(subject, str) and 0 < len(subject) <= MAX_SUBJECT and subject.isascii() and subject.isprintable():
        return subject
    raise refusal(spec, "it did not say who signed in")


def text_or_none(value: object, longest: int) -> str | None:
    """A short, printable text, or None."""
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip()
    return text if len(text) <= longest and text.isprintable() else None


def email_or_none(value: object) -> str | None:
    """An e-mail address in lower case, or None."""
    text = text_or_none(value, MAX_EMAIL)
    local, at, domain = (text or "").rpartition("@")
    return f"{local}@{domain}".lower() if at and local and domain and " " not in (text or "") else None
