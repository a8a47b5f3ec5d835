"""A question to every replica of search, so that each holds the store: no first question after a change has to wait."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Self

from configs.cluster import Cluster
from configs.errors import EngineDied, Unavailable
from models.wire import Call
from retrieval.collection import Hit, Query
from retrieval.finding import Finder
from retrieval.questions import pack
from serving import notes
from serving.exchange import Collector, Exchange
from serving.finder import PATH, TIMEOUT_S
from serving.link.client import Address
from serving.links import Links
from serving.names import search_apps
from serving.notes import Place

log = logging.getLogger(__name__)


class EveryReplica:
    """See `retrieval.finding.Finder`: what `finder` finds, told when all replicas that left a note can find it too.

    One that is gone, or comes up only now, is left out: it reads the store at its first question, as any other store.
    """

    def __init__(
        self, finder: Finder, apps: Sequence[str], links: Links, places: Callable[[], list[Place]] = notes.places
    ) -> None:
        self._finder = finder
        self._apps = set(apps)
        self._links = links
        self._places = places

    @classmethod
    def of(cls, cluster: Cluster, finder: Finder) -> Self:
        """All replicas of all shards."""
        return cls(finder, search_apps(cluster.configuration.search.shards), Links(cluster))

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Finder`; any of the replicas may raise these errors."""
        found = await self._finder.find(store_id, min_seq, queries)
        body = pack(store_id, min_seq, queries)
        noted = [place for place in await asyncio.to_thread(self._places) if place.label == "part"]
        await asyncio.gather(*(self._asked(place, body) for place in noted if place.model in self._apps))
        return found

    async def _asked(self, place: Place, body: bytes) -> None:
        try:
            link = await self._links.get(Address(place.host, place.port, place.tls))
        except Unavailable:
            log.info("a replica of %s has left a note and does not answer", place.model)
            return
        exchange = Exchange(Collector())
        exchange.opened(link, link.open(Call(PATH, body, uuid.uuid4().hex), exchange))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await exchange.ended()
        except EngineDied:
            log.info("a replica of %s ended while it was asked", place.model)
        except TimeoutError:
            raise Unavailable("A replica of search did not answer in time.") from None
