"""A page of the feed as bytes, for whoever carries it between processes: a head of JSON, then the sealed values."""

import itertools
import struct
from collections.abc import Iterator

import orjson

from retrieval.feed import Changes, SealedChunk

LENGTH = struct.Struct("<I")
NOTHING = b""


def pack(changes: Changes | None) -> bytes:
    """A page, or that there is none."""
    if changes is None:
        return NOTHING
    head = orjson.dumps(
        {
            "seq": changes.seq,
            "head": changes.head,
            "removed": list(changes.removed),
            "since": changes.since,
            "chunks": [(each.id, each.file_id, each.number) for each in changes.chunks],
            "described": [file_id for file_id, _ in changes.described],
            "lengths": [len(value) for value in _values(changes)],
        }
    )
    return b"".join((LENGTH.pack(len(head)), head, *_values(changes)))


def unpack(packed: bytes) -> Changes | None:
    """What `pack` packed."""
    if packed == NOTHING:
        return None
    (length,) = LENGTH.unpack_from(packed)
    start = LENGTH.size + length
    told = orjson.loads(packed[LENGTH.size : start])
    ends = itertools.accumulate(told["lengths"], initial=start)
    values = (packed[first:last] for first, last in itertools.pairwise(ends))
    return Changes(
        seq=told["seq"],
        head=told["head"],
        chunks=[
            SealedChunk(chunk_id, file_id, number, next(values), next(values))
            for chunk_id, file_id, number in told["chunks"]
        ],
        removed=told["removed"],
        described=[(file_id, next(values)) for file_id in told["described"]],
        since=told["since"],
    )


def _values(changes: Changes) -> Iterator[bytes]:
    for chunk in changes.chunks:
        yield chunk.content
        yield chunk.vectors
    for _, attributes in changes.described:
        yield attributes
