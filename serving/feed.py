"""The feed of vector stores as a search replica has it: questions to `control`."""

from collections.abc import Sequence
from typing import Any

import orjson

from configs.cluster import Cluster
from configs.errors import EngineDied, Unavailable
from retrieval.feed import Changes, StoreKey
from retrieval.pages import unpack
from retrieval.shards import WHOLE, Shard
from serving.asking import Asking
from serving.calls import call
from serving.leases import Target
from serving.names import CONTROL_APP, CONTROL_DEPLOYMENT

TIMEOUT_S = 30.0
HEADS, CHANGES = "/heads", "/changes"
"""What is asked all the time goes on a link; the rest is a call of Serve's."""


class ControlFeed:
    """See `retrieval.feed.Feed`."""

    def __init__(self, cluster: Cluster) -> None:
        target = Target(CONTROL_APP, CONTROL_DEPLOYMENT, "control", "`manta logs --part control`")
        self._asking = Asking(cluster, target)

    async def open_store(self, store_id: str) -> StoreKey:
        """See `Feed`."""
        found: StoreKey = await self._ask("open_store", store_id)
        return found

    async def heads(self, store_ids: Sequence[str]) -> dict[str, int]:
        """See `Feed`."""
        found: dict[str, int] = orjson.loads(await self._told(HEADS, list(store_ids)))
        return found

    async def outdated(self, places: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """See `Feed`."""
        found: list[tuple[str, int]] = await self._ask("outdated", list(places))
        return found

    async def changes(self, store_id: str, after: int, seen: int = 0, shard: Shard = WHOLE) -> Changes | None:
        """See `Feed`."""
        return unpack(await self._told(CHANGES, [store_id, after, seen, shard.number, shard.count]))

    async def _told(self, path: str, asked: list[Any]) -> bytes:
        try:
            return await self._asking.ask(path, orjson.dumps(asked), TIMEOUT_S)
        except EngineDied as error:
            raise Unavailable("control ended while it was asked.") from error

    async def _ask(self, method: str, *arguments: Any) -> Any:  # noqa: ANN401  what the method returns
        return await call(CONTROL_APP, CONTROL_DEPLOYMENT, method, *arguments, timeout_s=TIMEOUT_S)
