"""Recovery codes: what a person keeps on paper for the day the phone is lost. Each works once.

A code has 80 random bits, so its SHA-256 tells nothing and needs no slow hash. The letters are Crockford's base 32,
without the ones that people mix up; what they mix up all the same is read as meant. It stores nothing.
"""

import hashlib
import secrets

COUNT = 10
GROUPS = 4
GROUP_CHARACTERS = 4
CHARACTERS = GROUPS * GROUP_CHARACTERS
"""Of 5 bits each: 80 bits."""
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

_READ_AS = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})


def new_codes() -> list[str]:
    """Ten codes in groups for typing, for example `7k3m-q0zt-9hc2-x4vb`; they are shown once."""
    return [_new_code() for _ in range(COUNT)]


def digest_of(code: str) -> bytes | None:
    """SHA-256 of a code however it was typed (case, spaces, `o` for `0`), or None when it cannot be one."""
    plain = code.lower().translate(_READ_AS)
    if len(plain) != CHARACTERS or not set(plain) <= set(ALPHABET):
        return None
    return hashlib.sha256(plain.encode()).digest()


def _new_code() -> str:
    letters = [secrets.choice(ALPHABET) for _ in range(CHARACTERS)]
    groups = ("".join(letters[at : at + GROUP_CHARACTERS]) for at in range(0, CHARACTERS, GROUP_CHARACTERS))
    return "-".join(groups)
