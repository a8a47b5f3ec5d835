"""A collection as sealed pieces for a file or bucket, and back; checked before FAISS sees a byte. It knows no key.

The first piece is a manifest (format, dimensions, seq, and the name, length and sha256 of each array) behind its own
sha256; the others are the arrays, one after the other, cut to PIECE_BYTES. `seal` and `unseal` are handed in; they are
told what a piece is, so that it opens at no other place.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from retrieval.collection import Content
from retrieval.index.protocol import MAX_DIMENSIONS

FORMAT = "manta collection"
VERSION = 1
PIECE_BYTES = 1 << 20
_DIGEST_BYTES = 32

Seal = Callable[[bytes, bytes], bytes]
"""A piece and what it is, to which it is bound; `unseal` raises ValueError for what was not sealed so."""


class Refused(Exception):
    """The pieces are cut, damaged, of another store, or of another format; the text says which, for the log."""


def dump(content: Content, seal: Seal) -> Iterator[bytes]:
    """The pieces, in order."""
    arrays = dict(_named(content))
    listing = [[name, len(data), hashlib.sha256(data).hexdigest()] for name, data in arrays.items()]
    head = {"format": FORMAT, "version": VERSION, "dimensions": content.dimensions, "seq": content.seq}
    manifest = orjson.dumps(head | {"parts": len(content.parts), "arrays": listing})
    yield seal(hashlib.sha256(manifest).digest() + manifest, _place(0))
    for number, piece in enumerate(_cut(arrays.values()), 1):
        yield seal(piece, _place(number))


def load(pieces: Iterable[bytes], unseal: Seal) -> Content:
    """What `dump` was given.

    Raises:
        Refused: the pieces are not whole and unchanged, or were sealed otherwise.
    """
    opened = _opened(pieces, unseal)
    manifest = _manifest(next(opened, b""))
    arrays = _arrays(manifest["arrays"], opened)
    try:
        parts = [_part(number, arrays) for number in range(manifest["parts"])]
        files, attributes = orjson.loads(arrays["files"]), orjson.loads(arrays["attributes"])
    except (KeyError, ValueError) as error:
        raise Refused("the manifest and the content are not of one format") from error
    return Content(manifest["dimensions"], manifest["seq"], parts, files, attributes)


def _named(content: Content) -> Iterator[tuple[str, bytes]]:
    yield "files", orjson.dumps(content.files)
    yield "attributes", orjson.dumps(content.attributes)
    for number, part in enumerate(content.parts):
        yield from ((f"{number}/{name}", data) for name, data in part.items())


def _part(number: int, arrays: Mapping[str, bytes]) -> dict[str, bytes]:
    prefix = f"{number}/"
    return {name.removeprefix(prefix): data for name, data in arrays.items() if name.startswith(prefix)}


def _cut(arrays: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for data in arrays:
        for start in range(0, len(data), PIECE_BYTES):
            rest += data[start : start + PIECE_BYTES]
            while len(rest) >= PIECE_BYTES:
                yield rest[:PIECE_BYTES]
                rest = rest[PIECE_BYTES:]
    if rest:
        yield rest


def _opened(pieces: Iterable[bytes], unseal: Seal) -> Iterator[bytes]:
    for number, piece in enumerate(pieces):
        try:
            yield unseal(piece, _place(number))
        except ValueError as error:
            raise Refused(f"piece {number} does not open") from error


def _manifest(piece: bytes) -> dict[str, Any]:
    digest, body = piece[:_DIGEST_BYTES], piece[_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise Refused("the manifest is cut or damaged")
    try:
        manifest: dict[str, Any] = orjson.loads(body)
        found = manifest["format"], manifest["version"]
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("the manifest is of another format") from error
    if found != (FORMAT, VERSION):
        raise Refused(f"format {found[0]!r} {found[1]}; this program reads {FORMAT!r} {VERSION}")
    if not 1 <= manifest["dimensions"] <= MAX_DIMENSIONS:
        raise Refused(f"there are no vectors of {manifest['dimensions']} dimensions")
    return manifest


def _arrays(listing: Iterable[tuple[str, int, str]], opened: Iterator[bytes]) -> dict[str, bytes]:
    """Every array of the listing, with its length and checksum as they should be, and nothing behind the last."""
    found: dict[str, bytes] = {}
    buffer = bytearray()
    for name, length, digest in listing:
        while len(buffer) < length:
            if not (piece := next(opened, b"")):
                raise Refused(f"{name} is cut")
            buffer += piece
        found[name] = bytes(buffer[:length])
        del buffer[:length]
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise Refused(f"{name} is damaged")
    if buffer or next(opened, None) is not None:
        raise Refused("something stands behind the end")
    return found


def _place(number: int) -> bytes:
    return f"{FORMAT} {VERSION} {number}".encode()
