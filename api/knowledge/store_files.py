"""The files in a vector store: added, described, told, and put together again from their chunks.

Whoever adds a file here only says that it is to be indexed; `control` has it done.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from api.db import files as file_queries
from api.db import knowledge
from api.db import store_files as queries
from api.db import vector_stores as store_queries
from api.db.knowledge import Place
from api.db.passages import Found
from api.db.session import Database, Unit
from api.db.store_files import Given, Whose
from api.db.tables import VectorStore, VectorStoreFile, VectorStoreFileBatch
from api.db.vector_stores import Counts
from api.ids import new_id
from api.knowledge.joined import Joined
from api.knowledge.notes import readable_notes
from api.knowledge.stores import NO_STORE, PARAM, Stores, counted
from api.scope import Scope
from api.vault.keys import DataKey
from configs.errors import NotFound, Unavailable, Unreadable
from configs.seal import open_sealed, seal
from retrieval.feed import attributes_place

log = logging.getLogger(__name__)

NO_FILE = "There is no such file in this vector store."
NO_BATCH = "There is no such batch in this vector store."
CHUNKS_AT_ONCE = 1000
LAST_ERRORS = {"server_error", "unsupported_file", "invalid_file"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to be in a store. Without attributes those that it has stay."""

    file_id: str
    max_tokens: int
    overlap_tokens: int
    attributes: dict[str, Any] | None = None


class StoreFiles:
    """What routes call, mostly inside their unit of work; the store is the caller's."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def add(
        self, unit: Unit, store: VectorStore, wanted: Iterable[Wanted], batch_id: str | None = None, param: str = ""
    ) -> None:
        """Have files be in a store: new ones, and those that failed or are to be cut in another way, are indexed.

        Raises:
            NotFound: one of the files is not there (`param` is named), or the store is gone.
        """
        each = {one.file_id: one for one in wanted}
        key = await self._stores.key(unit, store)
        await _check_files(unit, list(each), param)
        await queries.lock_adding(unit, store.id)
        held = {row.file_id: row for row in await queries.held(unit, store.id, list(each))}
        place = await self._locked(unit, store)
        new = [one for id_, one in each.items() if id_ not in held]
        whose = Whose(store.id, store.organization_id, store.user_id, batch_id)
        if new:
            await _added(unit, whose, [_given(key, store, one) for one in new], param)
        again = [one for id_, one in each.items() if id_ in held and _is_stale(held[id_], one)]
        if again:
            await queries.again(unit, whose, [_given(key, store, one) for one in again])
        described = [one for id_, one in each.items() if id_ in held and _differs(key, held[id_], one)]
        if described:
            await queries.describe(unit, store.id, place.seq, [_given(key, store, one) for one in described])
        await store_queries.touch(unit, [public_id(store)])

    async def add_batch(self, unit: Unit, store: VectorStore, wanted: Sequence[Wanted]) -> VectorStoreFileBatch:
        """Files that are added together. Errors as `add`."""
        row = VectorStoreFileBatch(
            id=new_id("vsfb"),
            organization_id=store.organization_id,
            user_id=store.user_id,
            vector_store_id=store.id,
            file_ids=list(dict.fromkeys(one.file_id for one in wanted)),
        )
        await queries.add_batch(unit, row)
        await self.add(unit, store, wanted, row.id, "file_ids")
        return row

    async def found(self, unit: Unit, store_id: str, file_id: str) -> VectorStoreFile:
        """A file of a store.

        Raises:
            NotFound: it has none of that id.
        """
        row = await queries.get(unit, store_id, file_id)
        if row is None:
            raise NotFound(NO_FILE, param="file_id")
        return row

    async def batch(self, unit: Unit, store_id: str, batch_id: str) -> VectorStoreFileBatch:
        """A batch of a store.

        Raises:
            NotFound: it has none of that id.
        """
        row = await queries.batch(unit, store_id, batch_id)
        if row is None:
            raise NotFound(NO_BATCH, param="batch_id")
        return row

    async def describe(self, unit: Unit, store: VectorStore, file_id: str, attributes: dict[str, Any]) -> None:
        """Put other attributes in place of a file's.

        Raises:
            NotFound: the store does not have it, or is gone.
        """
        held = await queries.held(unit, store.id, [file_id])
        if not held:
            raise NotFound(NO_FILE, param="file_id")
        place = await self._locked(unit, store)
        one = Wanted(file_id, held[0].max_tokens, held[0].overlap_tokens, attributes)
        given = _given(await self._stores.key(unit, store), store, one)
        await queries.describe(unit, store.id, place.seq, [given])

    async def remove(self, unit: Unit, store: VectorStore, file_id: str) -> None:
        """Take a file out of a store, with its chunks; the file itself stays.

        Raises:
            NotFound: the store does not have it.
        """
        await queries.held(unit, store.id, [file_id])
        await self._locked(unit, store)
        if not await queries.remove(unit, store.id, file_id):
            raise NotFound(NO_FILE, param="file_id")

    async def cancel(self, unit: Unit, row: VectorStoreFileBatch) -> None:
        """Leave out what of a batch is not indexed yet."""
        await queries.cancel(unit, row)

    async def told(self, unit: Unit, store: VectorStore, rows: Sequence[VectorStoreFile]) -> list[dict[str, Any]]:
        """OpenAI's objects of files in a store; `notes` is ours.

        Raises:
            Unreadable: the store's key is gone.
        """
        key = await self._stores.key(unit, store)
        opened = [{"attributes": readable_attributes(key, row), "notes": readable_notes(key, row)} for row in rows]
        return [_facts(store, row) | each for row, each in zip(rows, opened, strict=True)]

    async def batch_told(self, unit: Unit, store: VectorStore, row: VectorStoreFileBatch) -> dict[str, Any]:
        """OpenAI's object of a batch."""
        counts = await store_queries.counts_of_batch(unit, store.id, row.id)
        return {
            "id": row.id,
            "object": "vector_store.files_batch",
            "created_at": int(row.created_at.timestamp()),
            "vector_store_id": public_id(store),
            "status": _status(row, counts),
            "file_counts": counted(counts),
        }

    async def text(self, database: Database, scope: Scope, store_id: str, file_id: str) -> str:
        """The text of a file, put together from its chunks; offsets in it are those of the chunks.

        Raises:
            NotFound: the caller has no such store, or it has no such file.
            Unreadable: its key is gone, or a chunk was changed.
        """
        made, number = Joined(), -1
        while True:
            async with database.unit(scope) as unit:
                store = await self._stores.index(unit, store_id)
                await self.found(unit, store.id, file_id)
                key = await self._stores.key(unit, store)
                batch = await queries.contents(unit, store.id, file_id, number, CHUNKS_AT_ONCE)
            await asyncio.to_thread(made.add, key, store, file_id, batch)
            if len(batch) < CHUNKS_AT_ONCE:
                return "".join(made.parts)
            number = batch[-1][0]

    async def _locked(self, unit: Unit, store: VectorStore) -> Place:
        """Nobody else changes the store until the unit of work ends.

        Raises:
            NotFound: it is gone.
            Unavailable: another index has just taken its place.
        """
        place = await knowledge.lock_store(unit, store.id)
        if place is not None:
            return place
        if (await store_queries.all_of(unit, [public_id(store)])).get(public_id(store)) is None:
            raise NotFound(NO_STORE, param=PARAM)
        raise Unavailable("The vector store has just been embedded anew. Send it once more.", retry_after_s=1.0)


def attributes_of(key: DataKey, row: VectorStoreFile | Found) -> dict[str, Any]:
    """A file's attributes, opened.

    Raises:
        Unreadable: the row was changed.
    """
    place = attributes_place(row.vector_store_id, row.file_id, row.organization_id)
    found: dict[str, Any] = orjson.loads(open_sealed(key.key, row.attributes, place))
    return found


def public_id(store: VectorStore) -> str:
    """The id that people know of the store that this is, or is an index of."""
    return store.index_of or store.id


async def _added(unit: Unit, whose: Whose, given: Sequence[Given], param: str) -> None:
    """New files.

    Raises:
        NotFound: one was deleted meanwhile.
    """
    if not await queries.add(unit, whose, given):
        raise NotFound("A file was deleted meanwhile.", param=param)


async def _check_files(unit: Unit, file_ids: Sequence[str], param: str) -> None:
    known = await file_queries.living(unit, file_ids)
    missing = next((id_ for id_ in file_ids if id_ not in known), None)
    if missing is not None:
        raise NotFound(f"There is no file {missing!r}.", param=param)


def _is_stale(row: VectorStoreFile, one: Wanted) -> bool:
    sizes = (row.max_tokens, row.overlap_tokens)
    return row.status in ("failed", "cancelled") or sizes != (one.max_tokens, one.overlap_tokens)


def _differs(key: DataKey, row: VectorStoreFile, one: Wanted) -> bool:
    return one.attributes is not None and one.attributes != readable_attributes(key, row)


def readable_attributes(key: DataKey, row: VectorStoreFile | Found) -> dict[str, Any] | None:
    """A file's attributes; None, and a line in the log, where they do not open."""
    try:
        return attributes_of(key, row)
    except Unreadable as error:
        log.warning("the attributes of %s in %s cannot be read: %s", row.file_id, row.vector_store_id, error.message)
        return None


def _given(key: DataKey, store: VectorStore, one: Wanted) -> Given:
    place = attributes_place(store.id, one.file_id, store.organization_id)
    return Given(
        one.file_id, seal(key.key, orjson.dumps(one.attributes or {}), place), one.max_tokens, one.overlap_tokens
    )


def _status(row: VectorStoreFileBatch, counts: Counts) -> str:
    if row.cancelled:
        return "cancelled"
    if counts.in_progress:
        return "in_progress"
    return "failed" if counts.total and counts.failed == counts.total else "completed"


def _facts(store: VectorStore, row: VectorStoreFile) -> dict[str, Any]:
    error = None
    if row.error_code is not None:
        code = row.error_code if row.error_code in LAST_ERRORS else "server_error"
        error = {"code": code, "message": row.error_message or ""}
    sizes = {"max_chunk_size_tokens": row.max_tokens, "chunk_overlap_tokens": row.overlap_tokens}
    return {
        "id": row.file_id,
        "object": "vector_store.file",
        "created_at": int(row.created_at.timestamp()),
        "vector_store_id": public_id(store),
        "usage_bytes": row.usage_bytes,
        "status": row.status,
        "last_error": error,
        "chunking_strategy": {"type": "static", "static": sizes},
    }
