"""One sealed value: AES-256-GCM, bound to the place where it is stored. It knows neither keys' owners nor tables.

    1 byte version | 12 bytes random nonce | ciphertext, as long as the text | 16 bytes tag

A nonce of 96 random bits is good for 2^32 values under one key (NIST SP 800-38D, 8.3); each owner has a key of its own.
"""

import os
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from configs.errors import Unreadable

VERSION = b"\x01"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = len(VERSION) + NONCE_BYTES + TAG_BYTES
"""By how much a sealed value is longer than its text."""


def seal(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypt under a key of 32 bytes. `aad` is not stored: whoever opens it must name the same place.

    Raises:
        ValueError: the key has another length.
    """
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + _cipher(key).encrypt(nonce, plaintext, VERSION + aad)


def open_sealed(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The text of a sealed value.

    Raises:
        Unreadable: it was changed, cut or moved, or sealed with another key.
        ValueError: the key has another length than 32 bytes.
    """
    cipher = _cipher(key)
    if len(sealed) < OVERHEAD_BYTES or sealed[:1] != VERSION:
        raise Unreadable("Stored content is damaged or of an unknown version.")
    nonce, text = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return cipher.decrypt(nonce, text, VERSION + aad)
    except InvalidTag:
        raise Unreadable(
            "Stored content cannot be decrypted: it was changed, moved, or sealed with another key."
        ) from None


def aad_of(table: str, row_id: str, column: str, organization_id: str) -> bytes:
    """The place of a sealed value, so that it opens in no other row, column or organization."""
    return fields("manta column", table, row_id, column, organization_id)


def fields(*texts: str) -> bytes:
    """Texts as bytes, each with its length in front: no two lists of texts give the same."""
    return b"".join(_prefixed(texts))


def _prefixed(texts: tuple[str, ...]) -> Iterator[bytes]:
    for text in texts:
        content = text.encode()
        yield len(content).to_bytes(4, "big")
        yield content


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        msg = f"a key has {KEY_BYTES} bytes, not {len(key)}"
        raise ValueError(msg)
    return AESGCM(key)
