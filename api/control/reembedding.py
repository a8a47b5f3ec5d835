"""Vector stores embedded anew: a second index is made beside the first, kept equal to it, and takes its place at once.

Files come and go meanwhile; the first index answers until the second lacks nothing that it has and search has read it.
Then one unit of work changes which is searched, so a search sees all of the old model or all of the new one. It begins
again at any point.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Self

import numpy as np
import orjson

from api.db import reembedding as queries
from api.db import store_files, vector_stores
from api.db.knowledge import heads, lock_store
from api.db.session import JOBS_ROLE, Database, Unit
from api.db.store_files import Given
from api.db.tables import VectorStore, VectorStoreFile
from api.knowledge.store_files import attributes_of
from api.knowledge.stores import REMOVED_AT_ONCE, remove
from api.vault.keys import DataKey
from api.vault.vault import Vault
from configs.cluster import Cluster
from configs.errors import MantaError, NotFound, Unavailable, Unreadable
from configs.seal import seal
from retrieval.collection import Query
from retrieval.feed import attributes_place
from retrieval.finding import Finder

log = logging.getLogger(__name__)

PERIOD_S = 5.0
AT_ONCE = 1000


class Reembedding:
    """The loop; `turn` is one round of it. Without a `finder` nothing is read before it is searched."""

    def __init__(
        self, database: Database, vault: Vault, finder: Finder | None, leads: Callable[[], Awaitable[bool]]
    ) -> None:
        self._database = database
        self._vault = vault
        self._finder = finder
        self._leads = leads

    @classmethod
    def of(cls, cluster: Cluster, finder: Finder, leads: Callable[[], Awaitable[bool]]) -> Self:
        """With a connection of its own."""
        url = (cluster.jobs_url or cluster.database_url).get_secret_value()
        database = Database(url, pool_size=1, application="manta reembedding", role=JOBS_ROLE, deadline_s=None)
        enabled = cluster.configuration.search.enabled
        return cls(database, Vault(cluster.masters()), finder if enabled else None, leads)

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                if await self._leads():
                    await self.turn()
            except Unavailable as error:
                log.info("stores that are embedded anew wait: %s", error.message)
            except Exception:
                log.exception("stores could not be embedded anew")

    async def close(self) -> None:
        """Close its connection."""
        await self._database.close()

    async def turn(self) -> int:
        """Bring every new index nearer to its end; how many took their place. One that cannot go on waits for the next.

        Raises:
            Unavailable: the database is away.
        """
        async with self._database.unit() as unit:
            attempts = await queries.attempts(unit)
        done = 0
        for store, new in attempts:
            try:
                done += await self._advance(store, store.index_id or store.id, new)
            except Unavailable as error:
                log.info("%s waits to be embedded anew: %s", store.id, error.message)
            except MantaError as error:
                log.warning("%s cannot be embedded anew: %s", store.id, error.message)
        await self._clear()
        return done

    async def _advance(self, store: VectorStore, old_id: str, new: VectorStore) -> bool:
        async with self._database.unit() as unit:
            await queries.drop_strays(unit, old_id, new.id)
        while await self._copied(old_id, new):
            pass
        async with self._database.unit() as unit:
            described = await queries.described(unit, old_id)
            if not await queries.complete(unit, old_id, new.id):
                return False
        await self._describe(old_id, new)
        if not await self._is_read(new):
            return False
        async with self._database.unit() as unit:
            if not await queries.lock(unit, [old_id, new.id]):
                return False
            same = await queries.described(unit, old_id) == described
            if not same or not await queries.complete(unit, old_id, new.id):
                return False
            await queries.swap(unit, store.id, old_id, new.id)
        log.info("%s is searched by %s now", store.id, new.embedding_model)
        return True

    async def _copied(self, old_id: str, new: VectorStore) -> bool:
        """Have some files that the new index lacks be indexed; whether there were any."""
        async with self._database.unit() as unit:
            rows = await queries.missing(unit, old_id, new.id, AT_ONCE)
            if not rows:
                return False
            key = await self._vault.key(unit, new.data_key_id)
            if not await queries.copy(unit, new, rows, [_given(key, new, row).attributes for row in rows]):
                raise Unavailable("A file was deleted while it was copied.")
        return True

    async def _describe(self, old_id: str, new: VectorStore) -> None:
        """Attributes that changed since they were copied."""
        after = ""
        while True:
            async with self._database.unit() as unit:
                pairs = await queries.both(unit, old_id, new.id, after, AT_ONCE)
                key = await self._vault.key(unit, new.data_key_id)
                changed = [_given(key, new, row) for row, copy in pairs if _opened(key, row) != _opened(key, copy)]
                if changed:
                    await self._put(unit, new, changed)
            if len(pairs) < AT_ONCE:
                return
            after = pairs[-1][0].file_id

    async def _put(self, unit: Unit, new: VectorStore, changed: list[Given]) -> None:
        await store_files.held(unit, new.id, [each.file_id for each in changed])
        place = await lock_store(unit, new.id)
        if place is not None:
            await store_files.describe(unit, new.id, place.seq, changed)

    async def _is_read(self, new: VectorStore) -> bool:
        """Whether search holds the new index, up to its last change."""
        if self._finder is None:
            return True
        async with self._database.unit() as unit:
            head = (await heads(unit, [new.id])).get(new.id, 0)
        try:
            await self._finder.find(new.id, head, [Query(np.ones(new.dimensions, np.float32), k=1)])
        except NotFound:
            return False
        return True

    async def _clear(self) -> None:
        """Remove what is not searched any more, in steps."""
        async with self._database.unit() as unit:
            retired, left = await queries.retired(unit), await queries.left_behind(unit)
        for index_id in retired:
            await remove(self._database, None, index_id)
        for store_id in left:
            while True:
                async with self._database.unit() as unit:
                    if await vector_stores.remove_files(unit, store_id, REMOVED_AT_ONCE) == 0:
                        break


def _opened(key: DataKey, row: VectorStoreFile) -> dict[str, object]:
    """Attributes; of a row that was changed, none."""
    try:
        return attributes_of(key, row)
    except Unreadable as error:
        log.warning("the attributes of %s in %s are left out: %s", row.file_id, row.vector_store_id, error.message)
        return {}


def _given(key: DataKey, new: VectorStore, row: VectorStoreFile) -> Given:
    place = attributes_place(new.id, row.file_id, new.organization_id)
    attributes = seal(key.key, orjson.dumps(_opened(key, row)), place)
    return Given(row.file_id, attributes, row.max_tokens, row.overlap_tokens)
