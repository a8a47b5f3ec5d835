"""One question and its whole answer on a link, for parts of Manta that ask each other often.

Serve's own handle costs both sides some milliseconds of CPU for each call; `serving.calls` has it for what is asked
seldom.
"""

import asyncio
import uuid

from configs.cluster import Cluster
from configs.errors import ModelStarting, Unavailable
from models.wire import Call
from serving.exchange import Collector, Exchange
from serving.leases import Leases, Target
from serving.links import Links
from serving.status import Status

RETRY_AFTER_S = 0.2


class Asking:
    """Asks one deployment. Made on the loop that uses it."""

    def __init__(self, cluster: Cluster, target: Target) -> None:
        self._cluster = cluster
        self._target = target
        self._leases: Leases | None = None

    async def ask(self, path: str, body: bytes, timeout_s: float) -> bytes:
        """The answer of one of its replicas.

        Raises:
            MantaError: what it answered with.
            EngineDied: it ended meanwhile.
            Unavailable: there is none, or it did not answer in time.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                return await self._ask(path, body, deadline)
        except TimeoutError:
            text = f"{self._target.what.capitalize()} did not answer in time."
            raise Unavailable(text, retry_after_s=RETRY_AFTER_S) from None
        except ModelStarting as error:
            raise Unavailable(error.message, retry_after_s=error.retry_after_s) from None

    async def _ask(self, path: str, body: bytes, deadline: float) -> bytes:
        if self._leases is None:  # Serve must run by then
            self._leases = Leases(self._target, Links(self._cluster), Status())
        lease = await self._leases.take(deadline)
        answer = Collector()
        exchange = Exchange(answer)
        try:
            call = Call(path, body, uuid.uuid4().hex, lease=lease.id)
            exchange.opened(lease.link, lease.link.open(call, exchange))
            await exchange.ended()
        finally:
            lease.give_back()
        return b"".join(answer.parts)
