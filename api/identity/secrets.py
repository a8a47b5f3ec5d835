"""Opaque secrets that are handed out once and kept as digests: refresh tokens, links, invitations."""

import hashlib
import secrets

BYTES = 32
MAX_CHARACTERS = 128


def new_secret() -> tuple[str, bytes]:
    """256 random bits as URL-safe text, and their SHA-256."""
    text = secrets.token_urlsafe(BYTES)
    return text, digest_of(text)


def digest_of(text: str) -> bytes:
    """SHA-256; whatever is too long to be one of ours is like any other wrong one."""
    return hashlib.sha256(text[: MAX_CHARACTERS + 1].encode("utf-8", "surrogatepass")).digest()
