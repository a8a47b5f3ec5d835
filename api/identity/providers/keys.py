"""A provider's public keys (JWKS): kept for an hour, asked for again when an unknown key is named."""

import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey, import_key

from api.identity.providers.cached import Cached, Clock

MAX_AGE_S = 3600.0
ASK_AGAIN_S = 60.0
MAX_KEYS = 100
MIN_RSA_BITS = 2048


class Keys:
    """The keys behind one `jwks_uri`. Tokens that name unknown keys cannot make us ask more than once a minute."""

    def __init__(self, load: Callable[[], Awaitable[KeySet]], clock: Clock = time.monotonic) -> None:
        self._cached = Cached(load, MAX_AGE_S, clock)
        self._clock = clock
        self._asked_again_at = -math.inf

    async def with_key(self, kid: object) -> KeySet:
        """The keys, read anew if `kid` is not among them; raises what the loading raises."""
        keys = await self._cached.get()
        if kid is None or any(key.kid == kid for key in keys):
            return keys
        now = self._clock()
        if self._cached.is_loading:
            return await self._cached.renewed()
        if now - self._asked_again_at < ASK_AGAIN_S:
            return keys
        self._asked_again_at = now
        return await self._cached.renewed()


def key_set_of(document: dict[str, Any]) -> KeySet:
    """The keys that may sign ID tokens; secret, weak, broken and other keys are left out."""
    listed = document.get("keys")
    entries = listed[:MAX_KEYS] if isinstance(listed, list) else []
    return KeySet([key for key in map(_signing_key, entries) if key is not None])


def _signing_key(entry: object) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if entry["kty"] == "RSA" and not _is_long(entry.get("n")):
        return None
    try:
        key = import_key(entry)
    except (JoseError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) and not key.is_private else None


def _is_long(modulus: object) -> bool:
    """Whether an RSA modulus in base64url has enough bits; every character holds six."""
    return isinstance(modulus, str) and len(modulus) * 6 >= MIN_RSA_BITS
