"""Access tokens: JSON Web Tokens (RFC 7519) that this installation signs for itself, for ten minutes at most.

Whoever checks them is whoever made them, so one secret and one algorithm are enough (docs/decisions/0011). The key that
signed is named by `kid`; after a rotation the older key still opens what it signed. A token only says whose session it
is: whether that session lives, and what it may, is asked of the database (`api.doorkeeper`).
"""

import time

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol, OctKey

from api.identity.claims import Claims
from configs.errors import ConfigurationError, Unauthorized
from configs.keyring import Keyring, MasterKey

ALGORITHM = "HS256"
NAME = "manta"
"""Issuer and audience."""
LONGEST_S = 600
LEEWAY_S = 60
MAX_BYTES = 2048
REFUSED = "This access token is not valid or has expired: refresh it at /api/auth/refresh, or sign in again."


class AccessTokens:
    """Makes and reads access tokens."""

    def __init__(self, keys: Keyring, lifetime_s: int = LONGEST_S) -> None:
        self._keys = keys
        self._lifetime_s = min(lifetime_s, LONGEST_S)

    def issue(self, user_id: str, session_id: str, organization_id: str) -> tuple[str, int]:
        """A token, and how many seconds it lives."""
        key, now = self._keys.active, int(time.time())
        claims = {
            "iss": NAME,
            "aud": NAME,
            "sub": user_id,
            "sid": session_id,
            "org": organization_id,
            "iat": now,
            "exp": now + self._lifetime_s,
        }
        header = {"alg": ALGORITHM, "kid": key.id, "typ": "JWT"}
        return jwt.encode(header, claims, _jwk(key), algorithms=[ALGORITHM]), self._lifetime_s

    def read(self, token: bytes) -> Claims:
        """What a good token says.

        Raises:
            Unauthorized: it is not one of ours, or its time is over. The text is the same for every reason.
        """
        try:
            return self._read(token)
        except (JoseError, ConfigurationError, ValueError, TypeError, KeyError, RecursionError):
            raise Unauthorized(REFUSED) from None

    def _read(self, token: bytes) -> Claims:
        if len(token) > MAX_BYTES:
            raise ValueError
        found = jwt.decode(token, self._key_of, algorithms=[ALGORITHM])
        claims, now = found.claims, time.time()
        issued, ends = claims["iat"], claims["exp"]
        if not (type(issued) is int and type(ends) is int) or found.header.keys() != {"alg", "kid", "typ"}:
            raise ValueError
        if claims["iss"] != NAME or claims["aud"] != NAME:
            raise ValueError
        if not (issued <= now + LEEWAY_S and now < ends <= issued + LONGEST_S):
            raise ValueError
        names = [claims["sub"], claims["sid"], claims["org"]]
        if not all(type(name) is str and name for name in names):
            raise ValueError
        user_id, session_id, organization_id = names
        return Claims(user_id, session_id, organization_id, float(ends))

    def _key_of(self, token: GuestProtocol) -> OctKey:
        kid = token.headers()["kid"]
        if type(kid) is not str:
            raise ValueError
        return _jwk(self._keys.get(kid))


def _jwk(key: MasterKey) -> OctKey:
    return OctKey.import_key(key.key)
