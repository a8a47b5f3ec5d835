"""Any OpenID Connect provider with a discovery page, such as Google: the code flow with PKCE and an ID token."""

import time
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from joserfc.jwk import KeySet

from api.fetch import Fetcher, NotFetched
from api.identity.providers import code as codes
from api.identity.providers import id_token
from api.identity.providers.cached import Cached, Clock
from api.identity.providers.discovery import OK, Metadata, discover
from api.identity.providers.id_token import Expected, NotBelieved
from api.identity.providers.keys import Keys, key_set_of
from api.identity.providers.protocol import (
    MAX_NAME,
    Ceremony,
    Identity,
    checked_subject,
    email_or_none,
    refusal,
    text_or_none,
)
from configs.provider_specs import ProviderSpec

DISCOVERY_AGE_S = 3600.0


def create(spec: ProviderSpec, secret: str | None, fetcher: Fetcher, clock: Clock = time.monotonic) -> "OidcProvider":
    """The provider of `spec`."""
    return OidcProvider(spec, secret, fetcher, clock)


class OidcProvider:
    """One issuer. Its discovery page and keys are kept for an hour."""

    def __init__(self, spec: ProviderSpec, secret: str | None, fetcher: Fetcher, clock: Clock) -> None:
        self.spec = spec
        self.issuer = str(spec.issuer)
        self._secret = secret
        self._fetcher = fetcher
        self._metadata = Cached(lambda: discover(spec, fetcher), DISCOVERY_AGE_S, clock)
        self._keys = Keys(self._load_keys, clock)

    async def authorization_url(self, redirect_uri: str, ceremony: Ceremony) -> str:
        """See `Provider`."""
        metadata = await self._metadata.get()
        return with_query(
            metadata.authorization_endpoint,
            response_type="code",
            client_id=self.spec.client_id,
            redirect_uri=redirect_uri,
            scope=" ".join(self.spec.wanted_scopes),
            state=ceremony.state,
            nonce=ceremony.nonce,
            code_challenge=ceremony.challenge,
            code_challenge_method="S256",
        )

    async def identity(self, code: str, redirect_uri: str, ceremony: Ceremony, issuer: str | None = None) -> Identity:
        """See `Provider`."""
        metadata = await self._metadata.get()
        if issuer != metadata.issuer and (issuer is not None or metadata.sends_issuer):
            raise refusal(self.spec, "the answer came from another issuer than the one that was asked")
        client = codes.Client(self.spec, self._secret, metadata.posts_secret)
        body = await codes.exchange(self._fetcher, client, metadata.token_endpoint, code, redirect_uri, ceremony)
        access_token = codes.token_in(self.spec, body, "access_token")
        expected = Expected(metadata.issuer, self.spec.client_id, ceremony.nonce, access_token)
        try:
            claims = await id_token.read(codes.token_in(self.spec, body, "id_token"), self._keys, expected)
        except NotBelieved as error:
            raise refusal(self.spec, str(error)) from error
        subject = checked_subject(self.spec, claims.get("sub"))
        if "email" not in claims:
            claims |= await self._user_info(metadata, access_token, subject)
        return identity_of(metadata.issuer, subject, claims)

    async def _user_info(self, metadata: Metadata, access_token: str, subject: str) -> dict[str, Any]:
        """What the ID token left out, for the same subject only (OpenID Connect Core 1.0, 5.3.2)."""
        if metadata.userinfo_endpoint is None or "email" not in self.spec.wanted_scopes:
            return {}
        headers = {"accept": "application/json", "authorization": f"Bearer {access_token}"}
        try:
            answer = await self._fetcher.get(metadata.userinfo_endpoint, headers)
            told = answer.json_object() if answer.status == OK else {}
        except NotFetched as error:
            raise refusal(self.spec, str(error)) from error
        if told and told.get("sub") != subject:
            raise refusal(self.spec, "its user info is about somebody else than its ID token")
        return {name: told[name] for name in ("email", "email_verified", "name") if name in told}

    async def _load_keys(self) -> KeySet:
        metadata = await self._metadata.get()
        try:
            answer = await self._fetcher.get(metadata.jwks_uri, {"accept": "application/json"})
            return key_set_of(answer.json_object() if answer.status == OK else {})
        except NotFetched as error:
            raise refusal(self.spec, str(error)) from error


def identity_of(issuer: str, subject: str, claims: dict[str, Any]) -> Identity:
    """What we take of the claims. Some providers write `email_verified` as text."""
    email = email_or_none(claims.get("email"))
    verified = email is not None and claims.get("email_verified") in (True, "true")
    return Identity(issuer, subject, email, verified, text_or_none(claims.get("name"), MAX_NAME))


def with_query(endpoint: str, **parameters: str) -> str:
    """The address with these parameters after its own."""
    parts = urlsplit(endpoint)
    query = "&".join(part for part in (parts.query, urlencode(parameters)) if part)
    return urlunsplit(parts._replace(query=query))
