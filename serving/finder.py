"""Search as whoever asks has it: questions to the replicas of search, on links as calls of models are."""

import asyncio
import logging
from collections.abc import Sequence

from configs.cluster import Cluster
from configs.errors import EngineDied, Unavailable
from retrieval.collection import Hit, Query
from retrieval.questions import pack, unpack_hits
from serving.asking import Asking
from serving.gateway import MAX_DEATHS
from serving.leases import Target
from serving.names import SEARCH_APP, SEARCH_DEPLOYMENT

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
PAUSE_S = 0.2
PATH = "/find"


class SearchFinder:
    """One shard, or all of search; see `retrieval.finding.Finder`. Made on the loop that uses it."""

    def __init__(self, cluster: Cluster, app: str = SEARCH_APP) -> None:
        self._asking = Asking(cluster, Target(app, SEARCH_DEPLOYMENT, "search", "`manta logs --part search`"))

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Finder`. Whose replica ends is asked again, as it changes nothing, unless it may be what ends them."""
        body = pack(store_id, min_seq, queries)
        for _ in range(MAX_DEATHS):
            try:
                return unpack_hits(await self._asking.ask(PATH, body, TIMEOUT_S))
            except EngineDied:
                log.info("a replica of search ended while it was asked")
                await asyncio.sleep(PAUSE_S)
        raise Unavailable("Replicas of search ended while they were asked.", retry_after_s=PAUSE_S)


class NoFinder:
    """Where search is off. See `retrieval.finding.Finder`."""

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Finder`."""
        raise Unavailable("Vector search is off here: the configuration's `search.enabled` turns it on.")
