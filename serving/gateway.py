"""From a model's name to an answer: lease, link, exchange, and one more try while nothing was sent.

The one object that the edge holds of serving. It does not know users or HTTP.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from configs.cluster import Cluster
from configs.errors import EngineDied, MantaError, TimedOut
from models.wire import Call, Usage
from serving.apps import DEPLOYMENT
from serving.exchange import Client, Exchange
from serving.leases import Lease, Leases, Target
from serving.links import Links
from serving.names import app_name
from serving.status import Status

log = logging.getLogger(__name__)

SWEEP_S = 1.0
MAX_DEATHS = 3
"""Replicas that may end under one request before it is suspected of ending them."""
PAUSE_S = 0.5
"""Longer than a replica whose engine died goes on answering."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds from the arrival of a request; each is checked once a second."""

    start_s: float
    first_token_s: float
    stall_s: float
    total_s: float


@dataclass(slots=True)
class Answer:
    """What became of a call. `error` is set when the answer was cut after its first byte."""

    usage: Usage = field(default_factory=Usage)
    error: MantaError | None = None
    lease_s: float = 0.0
    first_byte_s: float | None = None
    whole_s: float = 0.0
    replica: str = ""


class Gateway:
    """Calls models by name; made once per ingress, on its loop."""

    def __init__(self, cluster: Cluster) -> None:
        self.links = Links(cluster)
        self._status = Status()
        self._leases: dict[str, Leases] = {}
        self._running: dict[Exchange, Deadlines] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    async def send(
        self, model: str, call: Call, client: Client, deadlines: Deadlines, on_open: Callable[[Exchange], object]
    ) -> Answer:
        """Have `model` answer `call` into `client`; returns when the answer ended.

        `on_open` receives each exchange, so that a client that leaves can abandon it.

        Raises:
            MantaError: nothing was sent to the client, and this is why.
            ClientGone: the client left; its request was stopped.
        """
        arrived, deaths = self._loop.time(), 0
        while True:
            answer = Answer()
            lease = await self._lease(model, arrived + deadlines.start_s)
            answer.lease_s = self._loop.time() - arrived
            answer.replica = lease.replica
            exchange = Exchange(client)
            try:
                answer.usage = await self._exchange(lease, call, exchange, deadlines, on_open)
                answer.first_byte_s = None if exchange.first_at is None else exchange.first_at - arrived
                answer.whole_s = self._loop.time() - arrived
            except EngineDied as error:
                if exchange.started:
                    answer.error = error
                    return answer
                deaths += 1
                if deaths == MAX_DEATHS or self._loop.time() - arrived > deadlines.start_s:
                    raise
                log.info("request %s is sent again: its replica ended before the first byte", call.request_id)
                await asyncio.sleep(PAUSE_S)
                continue
            except MantaError as error:
                if not exchange.started:
                    raise
                answer.error = error
            return answer

    def forget(self, model: str) -> None:
        """The model was removed."""
        leases = self._leases.pop(model, None)
        if leases is not None:
            leases.close()

    def close(self) -> None:
        """End everything; running answers fail."""
        self.links.close()

    async def _lease(self, model: str, deadline: float) -> Lease:
        leases = self._leases.get(model)
        if leases is None:
            leases = self._leases[model] = Leases(Target(app_name(model), DEPLOYMENT), self.links, self._status)
        return await leases.take(deadline)

    async def _exchange(
        self, lease: Lease, call: Call, exchange: Exchange, deadlines: Deadlines, on_open: Callable[[Exchange], object]
    ) -> Usage:
        leased = Call(call.path, call.body, call.request_id, call.tenant, lease.id)
        exchange.opened(lease.link, lease.link.open(leased, exchange))
        on_open(exchange)
        self._watch(exchange, deadlines)
        try:
            return await exchange.ended()
        finally:
            del self._running[exchange]
            lease.give_back()

    def _watch(self, exchange: Exchange, deadlines: Deadlines) -> None:
        self._running[exchange] = deadlines
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        for exchange, deadlines in list(self._running.items()):
            error = exchange.overdue(deadlines.first_token_s, deadlines.stall_s)
            if error is None and now - exchange.opened_at > deadlines.total_s:
                error = TimedOut(f"The answer took longer than {deadlines.total_s:g} seconds.")
            if error is not None:
                exchange.abandon(error)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep) if self._running else None
