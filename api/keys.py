"""API keys: made, hashed, recognised. A key leaves this process once, when it is made."""

import hashlib
import secrets
from dataclasses import dataclass

PREFIX = "sk-"
SECRET_BYTES = 32
SHOWN = 11
"""Characters that a list shows: `sk-` and eight more, of 43."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. `key` is shown to its owner and kept nowhere."""

    id: str
    key: str
    digest: bytes
    prefix: str


def make_key() -> NewKey:
    """256 bits from the system, in the form of OpenAI's keys."""
    return new_key(PREFIX + secrets.token_urlsafe(SECRET_BYTES))


def new_key(key: str) -> NewKey:
    """A key that was made elsewhere, for example by the launcher for its operator."""
    return NewKey(f"key_{secrets.token_hex(12)}", key, digest_of(key.encode()), key[:SHOWN])


def key_of(secret: str) -> str:
    """The key made of a secret text of the data directory."""
    return PREFIX + secret


def digest_of(key: bytes) -> bytes:
    """SHA-256: a key has 256 bits, so a slow hash would add nothing, and equal length hides how long a guess was."""
    return hashlib.sha256(key).digest()
