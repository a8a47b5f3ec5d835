"""Is this ID token true, meant for us, and for this login? (OpenID Connect Core 1.0, 3.1.3.7.)

Only asymmetric algorithms are taken: with a shared one, whoever knows a public key could sign.
"""

from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, ClaimError, InvalidKeyIdError, JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry

from api.identity.providers.keys import Keys

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
LEEWAY_S = 60

_REGISTRY = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_BROKEN = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What a token can make the libraries raise; their own limit of size comes first."""


class NotBelieved(Exception):
    """The token does not hold. Its text is ours."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token must say."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None


async def read(token: str, keys: Keys, expected: Expected) -> dict[str, Any]:
    """The token's claims.

    Raises:
        NotBelieved: its signature, or anything it says, is not as it must be.
        SignInRefused: from loading the keys.
        Unavailable: from loading the keys.
    """
    try:
        header = jws.extract_compact(token.encode("ascii"), registry=_REGISTRY).headers()
    except _BROKEN as error:
        raise NotBelieved("its ID token cannot be read") from error
    found = await keys.with_key(header.get("kid"))
    try:
        believed = jwt.decode(token, found, registry=_REGISTRY)
        claims = CodeIDToken(believed.claims, believed.header, _options(expected), _parameters(expected))
        claims.validate(leeway=LEEWAY_S)
    except _BROKEN as error:
        raise NotBelieved(_reason(error)) from error
    return dict(claims)


def _options(expected: Expected) -> dict[str, Any]:
    return {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "nonce": {"essential": True, "value": expected.nonce},
    }


def _parameters(expected: Expected) -> dict[str, Any]:
    return {"client_id": expected.client_id, "nonce": expected.nonce, "access_token": expected.access_token}


def _reason(error: Exception) -> str:
    if isinstance(error, UnsupportedAlgorithmError):
        return f"its ID token is not signed with one of {', '.join(ALGORITHMS)}"
    if isinstance(error, BadSignatureError | InvalidKeyIdError):
        return "its ID token is not signed with a key of its own"
    if isinstance(error, ClaimError):
        return f"its ID token is not for this login (claim {error.claim})"
    return "its ID token cannot be read"
