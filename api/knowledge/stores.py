"""Vector stores: made, found, changed, told and removed. Their names and metadata are sealed with the owner's key.

A store belongs to the person who made it, or to the organization whose key did.
"""

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson

from api.db import vector_stores as queries
from api.db.session import Database, Unit
from api.db.tables import VectorStore
from api.db.vector_stores import Counts, Searched
from api.ids import new_id, new_timed_id
from api.knowledge.probing import Probes
from api.scope import Scope
from api.vault.keys import DataKey, owner_of_caller
from api.vault.vault import Vault
from configs.errors import BadRequest, NotFound, Unreadable
from configs.seal import open_sealed, seal
from models.embedding.probe import is_same, kept
from models.embedding.protocol import Vectors
from retrieval.feed import about_place

log = logging.getLogger(__name__)

Timed = TypeVar("Timed", VectorStore, Searched)

NO_STORE = "There is no such vector store."
PARAM = "vector_store_id"
REMOVED_AT_ONCE = 5000
"""Chunks, then files, that leave a store in one unit of work: a large store goes in steps."""
NOTED_EVERY = timedelta(minutes=1)
"""How often it is noted that a store is used (`queries.touch` holds to it)."""
NOTHING: dict[str, Any] = {"name": "", "description": None, "metadata": {}}


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The model that embeds a store: its name, and what it makes of one sentence (`models.embedding.probe`)."""

    model: str
    probe: Vectors

    def made(self, index: VectorStore) -> bool:
        """Whether the vectors of this index are the model's."""
        same_shape = (index.embedding_model, index.dimensions) == (self.model, len(self.probe))
        return same_shape and is_same(index.probe, self.probe)

    def told(self) -> dict[str, Any]:
        """As columns of an index."""
        return {"embedding_model": self.model, "dimensions": len(self.probe), "probe": kept(self.probe)}


class Stores:
    """What routes and jobs call, mostly inside their unit of work. `probes` are asked by searches."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.probes = Probes()

    async def create(
        self, unit: Unit, scope: Scope, about: Mapping[str, Any], embedding: Embedding, days: int | None
    ) -> VectorStore:
        """A new, empty one. `about` is its name, description and metadata."""
        key = await self._vault.key_for(unit, owner_of_caller(scope))
        store_id, made_at = new_timed_id("vs")
        row = VectorStore(
            id=store_id,
            created_at=made_at,
            organization_id=scope.organization_id,
            user_id=scope.user_id or None,
            data_key_id=key.id,
            about=_sealed(key, store_id, scope.organization_id, {**NOTHING, **about}),
            expires_after_days=days,
            **embedding.told(),
        )
        await queries.add(unit, row)
        return row

    async def found(self, unit: Unit, store_id: str, *, living: bool = False) -> VectorStore:
        """A store of the caller; with `living` one that can be searched and changed.

        Raises:
            NotFound: there is none of that id, or it is somebody else's.
            BadRequest: its time is over.
        """
        row = (await queries.all_of(unit, [store_id])).get(store_id)
        if row is None:
            raise NotFound(NO_STORE, param=PARAM)
        return _living(row) if living else row

    async def used(self, unit: Unit, store_ids: Sequence[str]) -> list[Searched]:
        """What is searched now for these stores of the caller. Errors as `found`, with `living`."""
        rows = await queries.searched(unit, store_ids)
        missing = next((each for each in store_ids if each not in rows), None)
        if missing is not None:
            raise NotFound(NO_STORE if len(store_ids) == 1 else f"There is no vector store {missing!r}.", param=PARAM)
        found, rested = [_living(rows[each]) for each in store_ids], datetime.now(UTC) - NOTED_EVERY
        if any(each.last_active_at < rested for each in found):
            await queries.touch(unit, store_ids)
        return found

    async def index(self, unit: Unit, store_id: str, *, living: bool = False) -> VectorStore:
        """What holds the files and chunks of a store of the caller (`api.db.tables.VectorStore`). Errors as `found`."""
        row = await self.found(unit, store_id, living=living)
        return (await queries.indexes(unit, [row]))[row.id]

    async def reembed(self, unit: Unit, row: VectorStore, embedding: Embedding) -> None:
        """Have all of a store embedded by another model, in the background; until that is done the old one answers.

        What was under way before is given up; with the model that it has already, that is all.
        """
        for old in (await queries.attempts(unit, [row.id])).values():
            await queries.change(unit, old.id, retired=True)
        index = (await queries.indexes(unit, [row]))[row.id]
        if embedding.made(index):
            return
        key, index_id = await self.key(unit, row), new_id("vs")
        new = VectorStore(
            id=index_id,
            organization_id=row.organization_id,
            user_id=row.user_id,
            data_key_id=row.data_key_id,
            about=_sealed(key, index_id, row.organization_id, NOTHING),
            index_of=row.id,
            **embedding.told(),
        )
        await queries.add(unit, new)

    async def key(self, unit: Unit, row: VectorStore | Searched) -> DataKey:
        """What seals all that the store holds.

        Raises:
            Unreadable: it was destroyed.
        """
        return await self._vault.key(unit, row.data_key_id)

    async def change(
        self, unit: Unit, row: VectorStore, about: Mapping[str, Any], days: Mapping[str, int | None]
    ) -> VectorStore:
        """Another name, description or metadata, and another `expires_after_days` where `days` has it."""
        key = await self.key(unit, row)
        whole = {**_opened(key, row), **about}
        return await queries.change(unit, row.id, about=_sealed(key, row.id, row.organization_id, whole), **days)

    async def told(self, unit: Unit, row: VectorStore) -> dict[str, Any]:
        """OpenAI's vector store object.

        Raises:
            Unreadable: its key is gone, or the row was changed.
        """
        (facts,) = await self._facts(unit, [row])
        return facts | _opened(await self.key(unit, row), row)

    async def listed(self, unit: Unit, rows: Sequence[VectorStore]) -> list[dict[str, Any]]:
        """Stores among others: one that does not open has no name and says so in the log."""
        facts = await self._facts(unit, rows)
        return [told | await self._about(unit, row) for told, row in zip(facts, rows, strict=True)]

    async def remove(self, database: Database, scope: Scope, store_id: str) -> None:
        """Remove one of the caller with all that it holds, never the files themselves.

        Raises:
            NotFound: see `found`.
        """
        async with database.unit(scope) as unit:
            await self.found(unit, store_id)
        await remove(database, scope, store_id)

    async def _facts(self, unit: Unit, rows: Sequence[VectorStore]) -> list[dict[str, Any]]:
        indexes = await queries.indexes(unit, rows)
        coming = await queries.attempts(unit, [row.id for row in rows])
        ids = [each.id for each in (*indexes.values(), *coming.values())]
        counts = await queries.counts(unit, ids)
        found = []
        for row in rows:
            index, new = indexes[row.id], coming.get(row.id)
            told = _facts(row, counts[index.id]) | {"embedding_model": index.embedding_model, "reembedding": None}
            if new is not None:
                told["reembedding"] = _coming(new, counts[new.id], counts[index.id])
            found.append(told)
        return found

    async def _about(self, unit: Unit, row: VectorStore) -> dict[str, Any]:
        try:
            return _opened(await self.key(unit, row), row)
        except Unreadable as error:
            log.warning("the vector store %s cannot be read: %s", row.id, error.message)
            return dict(NOTHING)


async def remove(database: Database, scope: Scope | None, store_id: str) -> None:
    """Remove a store with what it holds, in steps that each fit a unit of work.

    It is over first: whatever breaks this off, nobody finds half a store, and `api.knowledge.tidying` goes on.
    """
    async with database.unit(scope) as unit:
        await queries.end_now(unit, store_id)
        ids = [store_id, *await queries.index_ids(unit, store_id)]
    for each, step in itertools.product(ids, (queries.remove_chunks, queries.remove_files)):
        while True:
            async with database.unit(scope) as unit:
                if await step(unit, each, REMOVED_AT_ONCE) == 0:
                    break
    async with database.unit(scope) as unit:
        await queries.remove(unit, store_id)


def _living(row: Timed) -> Timed:
    if over(row):
        raise BadRequest("This vector store has expired: make a new one.", param=PARAM)
    return row


def over(row: VectorStore | Searched) -> bool:
    """Whether the store's time is over."""
    end = _end(row)
    return end is not None and end <= datetime.now(UTC)


def counted(counts: Counts) -> dict[str, int]:
    """OpenAI's `file_counts`."""
    return {
        "in_progress": counts.in_progress,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "total": counts.total,
    }


def _end(row: VectorStore | Searched) -> datetime | None:
    return None if row.expires_after_days is None else row.last_active_at + timedelta(days=row.expires_after_days)


def _facts(row: VectorStore, counts: Counts) -> dict[str, Any]:
    end, days = _end(row), row.expires_after_days
    return {
        "id": row.id,
        "object": "vector_store",
        "created_at": int(row.created_at.timestamp()),
        "usage_bytes": counts.usage_bytes,
        "file_counts": counted(counts),
        "status": "expired" if over(row) else "in_progress" if counts.in_progress else "completed",
        "expires_after": None if days is None else {"anchor": "last_active_at", "days": days},
        "expires_at": int(end.timestamp()) if end else None,
        "last_active_at": int(row.last_active_at.timestamp()),
    }


def _coming(new: VectorStore, counts: Counts, old: Counts) -> dict[str, Any]:
    """How far a new index is. It takes the old one's place only where it lacks nothing that the old one has."""
    over = counts.total == old.total and not counts.in_progress
    return {
        "embedding_model": new.embedding_model,
        "status": "failed" if over and counts.completed < old.completed else "in_progress",
        "file_counts": counted(counts),
    }


def _sealed(key: DataKey, store_id: str, organization_id: str, about: Mapping[str, Any]) -> bytes:
    return seal(key.key, orjson.dumps(dict(about)), about_place(store_id, organization_id))


def _opened(key: DataKey, row: VectorStore) -> dict[str, Any]:
    about: dict[str, Any] = orjson.loads(open_sealed(key.key, row.about, about_place(row.id, row.organization_id)))
    return about
