"""Search as whoever asks has it: questions to the replicas of search, on links as calls of models are."""

import asyncio
import logging
import uuid
from collections.abc import Sequence

from configs.cluster import Cluster
from configs.errors import EngineDied, ModelStarting, Unavailable
from models.wire import Call
from retrieval.collection import Hit, Query
from retrieval.questions import pack, unpack_hits
from serving.exchange import Exchange
from serving.gateway import MAX_DEATHS
from serving.leases import Leases, Target
from serving.links import Links
from serving.names import SEARCH_APP, SEARCH_DEPLOYMENT
from serving.status import Status

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
PAUSE_S = 0.2
AWAY = "Search did not answer in time."
PATH = "/find"


class SearchFinder:
    """One shard, or all of search; see `retrieval.finding.Finder`. Made on the loop that uses it."""

    def __init__(self, cluster: Cluster, app: str = SEARCH_APP) -> None:
        self._cluster = cluster
        self._target = Target(app, SEARCH_DEPLOYMENT, "search", "`manta logs --part search`")
        self._leases: Leases | None = None

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Finder`."""
        deadline = asyncio.get_running_loop().time() + TIMEOUT_S
        try:
            async with asyncio.timeout_at(deadline):
                return unpack_hits(await self._answer(pack(store_id, min_seq, queries), deadline))
        except (TimeoutError, EngineDied):
            raise Unavailable(AWAY, retry_after_s=PAUSE_S) from None
        except ModelStarting as error:
            raise Unavailable(error.message, retry_after_s=error.retry_after_s) from None

    async def _answer(self, body: bytes, deadline: float) -> bytes:
        """A question whose replica ends is asked again, as it changes nothing, unless it may be what ends them."""
        for _ in range(MAX_DEATHS - 1):
            try:
                return await self._ask(body, deadline)
            except EngineDied:
                log.info("a search is asked again: its replica ended")
                await asyncio.sleep(PAUSE_S)
        return await self._ask(body, deadline)

    async def _ask(self, body: bytes, deadline: float) -> bytes:
        if self._leases is None:  # Serve must run by then
            self._leases = Leases(self._target, Links(self._cluster), Status())
        lease = await self._leases.take(deadline)
        answer = _Answer()
        exchange = Exchange(answer)
        call = Call(PATH, body, uuid.uuid4().hex, lease=lease.id)
        try:
            exchange.opened(lease.link, lease.link.open(call, exchange))
            await exchange.ended()
        finally:
            lease.give_back()
        return b"".join(answer.parts)


class NoFinder:
    """Where search is off. See `retrieval.finding.Finder`."""

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Finder`."""
        raise Unavailable("Vector search is off here: the configuration's `search.enabled` turns it on.")


class _Answer:
    """See `serving.exchange.Client`."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def begin(self, content_type: str) -> None:
        """Nothing to prepare."""

    def write(self, chunk: bytes) -> None:
        self.parts.append(chunk)
