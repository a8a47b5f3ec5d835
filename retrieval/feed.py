"""How a collection follows its store: sealed changes in order, opened here and applied. It knows no database.

What a store holds is sealed with the key of its owner, each value bound to its place. `content` of a chunk is JSON of
`retrieval.chunking.Chunk`, `vectors` are float32 [windows, dimensions], attributes are JSON.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import orjson

from configs.errors import BadRequest, Unreadable
from configs.seal import aad_of, open_sealed
from retrieval.collection import Collection, Entry
from retrieval.filters import Attributes
from retrieval.index import checks
from retrieval.index.protocol import Shape, Vectors
from retrieval.shards import WHOLE, Shard
from retrieval.terms import terms

log = logging.getLogger(__name__)

CHUNK_COLUMNS = ("content", "vectors")


@dataclass(frozen=True, slots=True)
class StoreKey:
    """What opens a store."""

    store_id: str
    organization_id: str
    dimensions: int
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedChunk:
    """A chunk as it is stored: `id` in its store, `number` in its file."""

    id: int
    file_id: str
    number: int
    content: bytes
    vectors: bytes


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to a store up to `seq`: chunks that came, ids of those that went, sealed attributes by file.

    `head` is the last change that the store has, `since` when the oldest of these was written, in Unix seconds; None
    where it is read from the beginning.
    """

    seq: int
    head: int
    chunks: Sequence[SealedChunk]
    removed: Sequence[int]
    described: Sequence[tuple[str, bytes]]
    since: float | None = None


class Feed(Protocol):
    """Whoever knows the stores.

    Every method raises Unavailable where nobody answers.
    """

    async def open_store(self, store_id: str) -> StoreKey:
        """Raises NotFound: there is none; Unreadable: its key was destroyed."""

    async def heads(self, store_ids: Sequence[str]) -> dict[str, int]:
        """The last change of each store that is there."""

    async def outdated(self, places: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Of stores, each with a change of it, those at which nothing may be kept that holds what the store then held.

        Something was removed since, the store is gone, another index took its place, or it does not know that change,
        as that is long ago or the database was set back.
        """

    async def changes(self, store_id: str, after: int, seen: int = 0, shard: Shard = WHOLE) -> Changes | None:
        """Some of what happened behind `after`, at least one change if there is one; of chunks, those of the shard.

        `seen` is the `head` that was told with the page before, `after` itself where there was none.
        None: the store is gone, or does not know one of these changes, as that is long ago or the database was set
        back: who stands there must begin at 0.
        """


def chunk_place(store_id: str, file_id: str, number: int, column: str, organization_id: str) -> bytes:
    """What `content` and `vectors` of a chunk are bound to."""
    return aad_of("chunks", f"{store_id}/{file_id}/{number}", column, organization_id)


def attributes_place(store_id: str, file_id: str, organization_id: str) -> bytes:
    """What the attributes of a file in a store are bound to."""
    return aad_of("vector_store_files", f"{store_id}/{file_id}", "attributes", organization_id)


def notes_place(store_id: str, file_id: str, organization_id: str) -> bytes:
    """What the notes on a file in a store are bound to."""
    return aad_of("vector_store_files", f"{store_id}/{file_id}", "notes", organization_id)


def about_place(store_id: str, organization_id: str) -> bytes:
    """What the name, description and metadata of a store are bound to."""
    return aad_of("vector_stores", store_id, "about", organization_id)


def searched_text(content: Mapping[str, Any]) -> str:
    """The text of a chunk as it is embedded and indexed: with the headings that it stands under."""
    head = [*content["headings"], content["table_head"]]
    return "\n".join([*(line for line in head if line), content["text"]])


def apply(collection: Collection, store: StoreKey, changes: Changes) -> None:
    """Bring a collection up to `changes.seq`.

    What does not open or fit is left out and said in the log: the rest of the store must be found all the same.
    """
    described = {file_id: _attributes(store, file_id, sealed) for file_id, sealed in changes.described}
    collection.apply(changes.seq, list(_entries(store, changes.chunks)), changes.removed, described)


def content(store: StoreKey, chunk: SealedChunk) -> dict[str, Any]:
    """The content of a chunk.

    Raises:
        Unreadable: it was changed, moved, or sealed with another key.
    """
    place = chunk_place(store.store_id, chunk.file_id, chunk.number, "content", store.organization_id)
    opened: dict[str, Any] = orjson.loads(open_sealed(store.key, chunk.content, place))
    return opened


def vectors(store: StoreKey, chunk: SealedChunk) -> Vectors:
    """The vectors [windows, dimensions] of a chunk.

    Raises:
        Unreadable: see `content`.
        BadRequest: they are of another shape, or have no cosine.
    """
    place = chunk_place(store.store_id, chunk.file_id, chunk.number, "vectors", store.organization_id)
    opened = open_sealed(store.key, chunk.vectors, place)
    if not opened or len(opened) % (4 * store.dimensions):
        raise BadRequest(f"{len(opened)} bytes are no vectors of {store.dimensions} numbers.", param="vectors")
    found = np.frombuffer(opened, "<f4").reshape(-1, store.dimensions)
    return checks.vectors(found, Shape(store.dimensions))


def _entries(store: StoreKey, chunks: Iterable[SealedChunk]) -> Iterator[Entry]:
    for chunk in chunks:
        try:
            found = vectors(store, chunk)
            yield Entry(chunk.id, found, terms(searched_text(content(store, chunk))), chunk.file_id)
        except (Unreadable, BadRequest) as error:
            log.error("chunk %d of %s is left out: %s", chunk.id, store.store_id, error.message)  # noqa: TRY400  it says it all


def _attributes(store: StoreKey, file_id: str, sealed: bytes) -> Attributes:
    try:
        opened: Attributes = orjson.loads(
            open_sealed(store.key, sealed, attributes_place(store.store_id, file_id, store.organization_id))
        )
    except Unreadable as error:
        log.error("the attributes of %s in %s are left out: %s", file_id, store.store_id, error.message)  # noqa: TRY400  it says it all
        return {}
    return opened
