"""What an OpenID provider says of itself (OpenID Connect Discovery 1.0), believed only as far as it can be checked."""

from dataclasses import dataclass
from typing import Any

from authlib.oidc.discovery import get_well_known_url

from api import addresses
from api.addresses import NotAllowed
from api.fetch import Fetcher, NotFetched
from api.identity.providers.protocol import refusal
from configs.provider_specs import ProviderSpec

OK = 200


@dataclass(frozen=True, slots=True)
class Metadata:
    """The checked part of the document. `posts_secret`: the client secret goes into the form, not into a header."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    posts_secret: bool
    sends_issuer: bool


async def discover(spec: ProviderSpec, fetcher: Fetcher) -> Metadata:
    """Read and check the document of `spec.issuer`.

    Raises:
        SignInRefused: there is none, or it does not hold.
        Unavailable: the provider does not answer.
    """
    try:
        answer = await fetcher.get(get_well_known_url(spec.issuer, external=True), {"accept": "application/json"})
        document = answer.json_object()
    except NotFetched as error:
        raise refusal(spec, str(error)) from error
    if answer.status != OK:
        raise refusal(spec, f"its discovery page answers with status {answer.status}")
    return checked(spec, document)


def checked(spec: ProviderSpec, document: dict[str, Any]) -> Metadata:
    """The document, if it is the issuer's own and names secure addresses only.

    Raises:
        SignInRefused: another issuer, or an address that is missing or not https.
    """
    assert spec.issuer is not None
    if document.get("issuer") != spec.issuer:
        raise refusal(spec, "its discovery page speaks for another issuer than the configured one")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=spec.issuer,
        authorization_endpoint=_endpoint(spec, document, "authorization_endpoint"),
        token_endpoint=_endpoint(spec, document, "token_endpoint"),
        jwks_uri=_endpoint(spec, document, "jwks_uri"),
        userinfo_endpoint=_endpoint(spec, document, "userinfo_endpoint") if "userinfo_endpoint" in document else None,
        posts_secret=isinstance(methods, list) and "client_secret_basic" not in methods,
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(spec: ProviderSpec, document: dict[str, Any], name: str) -> str:
    """An address of the document; one on this machine only where the issuer itself is on it."""
    try:
        local = addresses.is_local(addresses.parse(document.get(name)))
    except NotAllowed as error:
        raise refusal(spec, f"its {name} cannot be used: {error}") from error
    if local and not addresses.is_local(addresses.parse(spec.issuer)):
        raise refusal(spec, f"its {name} cannot be used: it is on this machine")
    return str(document[name])
