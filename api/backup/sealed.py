"""Streams under AES-256-GCM: sealed on the way out, opened on the way in, never whole in memory.

    sealed = MAGIC, length of the header (4 bytes), header (JSON), chunks
    header = {"chunk": plain bytes per chunk, "key": id of the master key, "name": what this is, "wrapped": data key}

Each stream has a random data key, wrapped under a key that is derived from the master key. A chunk's nonce is its
number and whether it is the last (the STREAM construction, eprint 2015/189); its associated data is the SHA-256 of all
that stands before the first chunk, so that it opens only in its own place of its own stream under its own name.
Truncation, reordering, and one stream in another's place are found. It does not know where the bytes lie.
"""

import base64
import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from itertools import chain

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from configs.errors import DamagedBackup
from configs.keyring import Keyring, MasterKey

MAGIC = b"MANTA-SEALED-1\n"
CHUNK_BYTES = 2**20
TAG_BYTES = 16
KEY_BYTES = 32
NONCE_BYTES = 12
LONGEST_HEADER = 4096

Bytes = bytes | bytearray | memoryview


def derived(key: MasterKey, purpose: str) -> bytes:
    """A key for one purpose (32 bytes), from which the master key does not follow."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"manta backup {purpose}".encode()).derive(key.key)


def sealed(source: Iterable[Bytes], key: MasterKey, name: str) -> Iterator[bytes]:
    """The sealed stream of `source`, piece by piece."""
    data_key = os.urandom(KEY_BYTES)
    head = _head(data_key, key, name)
    cipher, bound = AESGCM(data_key), hashlib.sha256(head).digest()
    yield head
    for number, (chunk, last) in enumerate(_chunks(source, CHUNK_BYTES)):
        yield cipher.encrypt(_nonce(number, last=last), chunk, bound)


def opened(source: Iterable[Bytes], keys: Keyring, name: str) -> Iterator[bytes]:
    """The plain stream; nothing is yielded that was not proven to be its own.

    Raises:
        DamagedBackup: it was changed, cut or reordered, or it is another stream than `name`.
        ConfigurationError: the master key that it needs is not in the keyring.
    """
    pieces = iter(source)
    head, rest = _read_head(pieces, name)
    data_key, chunk_bytes = _unwrapped(head, keys, name)
    cipher, bound = AESGCM(data_key), hashlib.sha256(head).digest()
    for number, (chunk, last) in enumerate(_chunks(chain([rest], pieces), chunk_bytes + TAG_BYTES)):
        try:
            yield cipher.decrypt(_nonce(number, last=last), chunk, bound)
        except (InvalidTag, ValueError) as error:
            raise _damaged(name) from error


def _chunks(pieces: Iterable[Bytes], size: int) -> Iterator[tuple[Bytes, bool]]:
    """The same bytes in chunks of `size`, and whether each is the last, which may be shorter; copied only if joined."""
    held, room = list[memoryview](), size
    for piece in pieces:
        view = memoryview(piece)
        while view:
            if not room:  # only now: the last chunk must be known as the last
                yield _joined(held), False
                held, room = [], size
            held.append(view[:room])
            view, room = view[len(held[-1]) :], room - len(held[-1])
    yield _joined(held), True


def _joined(views: list[memoryview]) -> Bytes:
    return views[0] if len(views) == 1 else b"".join(views)


def _head(data_key: bytes, key: MasterKey, name: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    wrapped = nonce + AESGCM(derived(key, "wrap")).encrypt(nonce, data_key, MAGIC + name.encode())
    header = {"chunk": CHUNK_BYTES, "key": key.id, "name": name, "wrapped": base64.b64encode(wrapped).decode()}
    text = orjson.dumps(header)
    return MAGIC + struct.pack(">I", len(text)) + text


def _read_head(pieces: Iterator[Bytes], name: str) -> tuple[bytes, bytearray]:
    """Everything before the first chunk, and what was read beyond it."""
    start, pending = len(MAGIC) + 4, bytearray()
    while len(pending) < start or len(pending) < start + _header_length(pending, name):
        piece = next(pieces, None)
        if piece is None:
            raise _damaged(name)
        pending += piece
    end = start + _header_length(pending, name)
    return bytes(pending[:end]), pending[end:]


def _header_length(pending: bytearray, name: str) -> int:
    length: int = struct.unpack_from(">I", pending, len(MAGIC))[0]
    if not pending.startswith(MAGIC) or length > LONGEST_HEADER:
        raise _damaged(name)
    return length


def _unwrapped(head: bytes, keys: Keyring, name: str) -> tuple[bytes, int]:
    try:
        header = orjson.loads(head[len(MAGIC) + 4 :])
        key_id, found, chunk_bytes = str(header["key"]), header["name"], int(header["chunk"])
        wrapped = base64.b64decode(header["wrapped"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(name) from error
    if found != name or not 0 < chunk_bytes <= 16 * CHUNK_BYTES:
        raise _damaged(name)
    wrapping = AESGCM(derived(keys.get(key_id), "wrap"))
    try:
        return wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], MAGIC + name.encode()), chunk_bytes
    except (InvalidTag, ValueError) as error:
        msg = f"{name} does not open with the master key {key_id!r}: it was changed, or this is another key of that id"
        raise DamagedBackup(msg) from error


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(NONCE_BYTES - 1, "big") + bytes([last])


def _damaged(name: str) -> DamagedBackup:
    return DamagedBackup(f"{name} was changed or cut since it was written: take another backup with --id")
