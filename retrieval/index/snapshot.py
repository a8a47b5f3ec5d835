"""The file of a whole index: a header of fixed length and what `Index.dump` gives, checked before FAISS sees it.

Little-endian: magic, format version, dimensions, metric, kind, count, bytes that follow, sha256 of all of this. A file
appears whole or not at all. It knows nothing of changes after it (`retrieval.changes`).
"""

import hashlib
import os
import secrets
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from configs.errors import BadRequest
from configs.files import sync_folder
from retrieval.index import faiss
from retrieval.index.protocol import Device, Index, Kind, Metric, Shape

VERSION = 1
_MAGIC = b"MANTAIDX"
_FIELDS = struct.Struct("<8sII8s8sQQ")
_DIGEST_BYTES = 32
_HEADER_BYTES = _FIELDS.size + _DIGEST_BYTES
_PIECE_BYTES = 1 << 20


class Refused(Exception):
    """The file is cut, damaged or of another format; the text says which, for the log."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a snapshot says about itself."""

    shape: Shape
    count: int
    payload_bytes: int
    digest: bytes = b""

    @property
    def fields(self) -> bytes:
        """All but the digest."""
        shape = self.shape
        names = shape.metric.encode(), shape.kind.encode()
        return _FIELDS.pack(_MAGIC, VERSION, shape.dimensions, *names, self.count, self.payload_bytes)


def save(path: Path, index: Index) -> int:
    """Write the index so that a crash at any moment leaves no file or a whole one; its bytes.

    Raises:
        OSError: the disk is full or refuses.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            draft.chmod(0o600)
            _write(file, index)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return path.stat().st_size


def load(path: Path, device: Device = "auto") -> Index:
    """The index of a file.

    Raises:
        Refused: it is cut, damaged or of another format.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        header = _read_header(file)
        _verify(file, header)
        file.seek(_HEADER_BYTES)
        index = faiss.read(header.shape, file.read, device)
    if index.size != header.count:
        raise Refused(f"{path.name} holds {index.size} vectors and says {header.count}")
    return index


def _write(file: BinaryIO, index: Index) -> None:
    digest = hashlib.sha256()
    file.write(bytes(_HEADER_BYTES))

    def write(piece: bytes) -> None:
        digest.update(piece)
        file.write(piece)

    index.dump(write)
    header = Header(index.shape, index.size, file.tell() - _HEADER_BYTES)
    digest.update(header.fields)
    file.seek(0)
    file.write(header.fields + digest.digest())


def _read_header(file: BinaryIO) -> Header:
    data = file.read(_HEADER_BYTES)
    if len(data) < _HEADER_BYTES or not data.startswith(_MAGIC):
        raise Refused(f"{file.name} is no snapshot, or its header is cut")
    _, version, dimensions, metric, kind, count, payload_bytes = _FIELDS.unpack_from(data)
    if version != VERSION:
        raise Refused(f"{file.name} has format {version}; this program reads {VERSION}")
    try:
        names = [name.rstrip(b"\0").decode("ascii") for name in (metric, kind)]
        shape = Shape(dimensions, Metric(names[0]), Kind(names[1]))
    except (ValueError, BadRequest) as error:
        raise Refused(f"{file.name} names a shape that there is not") from error
    return Header(shape, count, payload_bytes, data[_FIELDS.size :])


def _verify(file: BinaryIO, header: Header) -> None:
    digest, length = hashlib.sha256(), 0
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
        length += len(piece)
    digest.update(header.fields)
    if length != header.payload_bytes or digest.digest() != header.digest:
        raise Refused(f"{file.name} is cut or damaged")
