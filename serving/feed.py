"""The feed of vector stores as a search replica has it: questions to `control`."""

from collections.abc import Sequence
from typing import Any

from retrieval.feed import Changes, StoreKey
from retrieval.shards import WHOLE, Shard
from serving.calls import call
from serving.names import CONTROL_APP, CONTROL_DEPLOYMENT

TIMEOUT_S = 30.0


class ControlFeed:
    """See `retrieval.feed.Feed`."""

    async def open_store(self, store_id: str) -> StoreKey:
        """See `Feed`."""
        found: StoreKey = await self._ask("open_store", store_id)
        return found

    async def heads(self, store_ids: Sequence[str]) -> dict[str, int]:
        """See `Feed`."""
        found: dict[str, int] = await self._ask("heads", list(store_ids))
        return found

    async def outdated(self, places: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """See `Feed`."""
        found: list[tuple[str, int]] = await self._ask("outdated", list(places))
        return found

    async def changes(self, store_id: str, after: int, seen: int = 0, shard: Shard = WHOLE) -> Changes | None:
        """See `Feed`."""
        found: Changes | None = await self._ask("changes", store_id, after, seen, shard)
        return found

    async def _ask(self, method: str, *arguments: Any) -> Any:  # noqa: ANN401  what the method returns
        return await call(CONTROL_APP, CONTROL_DEPLOYMENT, method, *arguments, timeout_s=TIMEOUT_S)
