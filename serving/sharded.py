"""A store that is spread over shards, searched as one: all are asked at once, and what they find is merged."""

import asyncio
from collections.abc import Sequence

from configs.cluster import Cluster
from retrieval import merging
from retrieval.collection import Hit, Query
from retrieval.finding import Finder
from serving.finder import NoFinder, SearchFinder
from serving.names import search_apps


class ShardedFinder:
    """See `retrieval.finding.Finder`. A shard that does not answer fails the question: no part of a result is shown."""

    def __init__(self, shards: Sequence[Finder]) -> None:
        self._shards = shards

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Finder`; each shard may stand at a change of its own, at `min_seq` or later."""
        asked = [merging.for_shards(query) for query in queries]
        answers = await asyncio.gather(*(shard.find(store_id, min_seq, asked) for shard in self._shards))
        return [merging.merged(query, [answer[number] for answer in answers]) for number, query in enumerate(queries)]


def finder_of(cluster: Cluster) -> Finder:
    """Who asks the search application of this cluster, or all its shards."""
    if not cluster.configuration.search.enabled:
        return NoFinder()
    shards = [SearchFinder(cluster, app) for app in search_apps(cluster.configuration.search.shards)]
    return shards[0] if len(shards) == 1 else ShardedFinder(shards)
