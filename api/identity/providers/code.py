"""The code that a browser brought back, exchanged for tokens (RFC 6749, 4.1.3, with PKCE's verifier of RFC 7636)."""

import base64
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from api.fetch import Fetcher, NotFetched
from api.identity.providers.protocol import Ceremony, refusal
from configs.provider_specs import ProviderSpec

log = logging.getLogger(__name__)

MAX_TOKEN = 65_536
KNOWN_ERRORS = {"invalid_grant", "invalid_client", "unauthorized_client", "invalid_request", "invalid_scope"}
"""What may stand in a log line as it came (RFC 6749, 5.2)."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to the provider. Without a secret we are a public client, and PKCE alone proves us."""

    spec: ProviderSpec
    secret: str | None
    posts_secret: bool = False

    def form(self) -> dict[str, str]:
        """What of us stands in the form."""
        if self.secret is None:
            return {"client_id": self.spec.client_id}
        return {"client_id": self.spec.client_id, "client_secret": self.secret} if self.posts_secret else {}

    def headers(self) -> dict[str, str]:
        """What of us stands in the headers."""
        if self.secret is None or self.posts_secret:
            return {}
        pair = f"{quote_plus(self.spec.client_id)}:{quote_plus(self.secret)}"
        return {"authorization": "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")}


async def exchange(
    fetcher: Fetcher, client: Client, endpoint: str, code: str, redirect_uri: str, ceremony: Ceremony
) -> dict[str, Any]:
    """The provider's answer to the code, which holds no `error`.

    Raises:
        SignInRefused: the code is used, expired, another's, or the answer cannot be used.
        Unavailable: the provider does not answer.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": ceremony.verifier,
        **client.form(),
    }
    try:
        answer = await fetcher.post(endpoint, form, {"accept": "application/json", **client.headers()})
        body = answer.json_object()
    except NotFetched as error:
        raise refusal(client.spec, str(error)) from error
    if answer.status != 200 or "error" in body:  # noqa: PLR2004  GitHub says its errors with 200
        said = body.get("error")
        log.warning("provider %s says %s", client.spec.name, said if said in KNOWN_ERRORS else "an unknown error")
        raise refusal(client.spec, "it did not accept the code, which works once and for a short time")
    return body


def token_in(spec: ProviderSpec, body: dict[str, Any], name: str) -> str:
    """A token of the answer.

    Raises:
        SignInRefused: it has none, or one that no header could carry.
    """
    token = body.get(name)
    if isinstance(token, str) and 0 < len(token) <= MAX_TOKEN and token.isascii() and token.isprintable():
        return token
    raise refusal(spec, f"its answer holds no {name}")
