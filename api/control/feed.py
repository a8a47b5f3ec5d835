"""What happened to vector stores, for search replicas: read as the role of jobs, handed on sealed."""

from collections.abc import Sequence

from api.db import knowledge as queries
from api.db.session import JOBS_ROLE, Database
from api.vault.vault import Vault
from configs.cluster import Cluster
from configs.connections import FEED_POOL_SIZE
from configs.errors import NotFound
from retrieval.feed import Changes, StoreKey
from retrieval.shards import WHOLE, Shard

PAGE_CHUNKS = 1000
NO_STORE = "There is no such vector store."


class StoreFeed:
    """See `retrieval.feed.Feed`."""

    def __init__(self, database: Database, vault: Vault, page_chunks: int = PAGE_CHUNKS) -> None:
        self._database = database
        self._vault = vault
        self._page_chunks = page_chunks

    @classmethod
    def of(cls, cluster: Cluster) -> "StoreFeed":
        """With connections of its own."""
        url = (cluster.jobs_url or cluster.database_url).get_secret_value()
        return cls(
            Database(url, pool_size=FEED_POOL_SIZE, application="manta feed", role=JOBS_ROLE), Vault(cluster.masters())
        )

    async def open_store(self, store_id: str) -> StoreKey:
        """See `Feed`."""
        async with self._database.unit() as unit:
            row = await queries.store(unit, store_id)
            if row is None:
                raise NotFound(NO_STORE, param="vector_store_id")
            key = await self._vault.key(unit, row.data_key_id)
        return StoreKey(row.id, row.organization_id, row.dimensions, key.key)

    async def heads(self, store_ids: Sequence[str]) -> dict[str, int]:
        """See `Feed`."""
        async with self._database.unit() as unit:
            return await queries.heads(unit, store_ids)

    async def outdated(self, places: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """See `Feed`."""
        async with self._database.unit() as unit:
            return await queries.outdated(unit, places)

    async def changes(self, store_id: str, after: int, seen: int = 0, shard: Shard = WHOLE) -> Changes | None:
        """See `Feed`."""
        async with self._database.snapshot() as unit:
            return await queries.changes(unit, store_id, after, seen or after, self._page_chunks, shard)

    async def close(self) -> None:
        """Close its connections."""
        await self._database.close()
