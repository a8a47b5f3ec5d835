"""The loop that reconciles, and the answers that need Serve's own view.

It reads the wanted models from PostgreSQL under an advisory lock, so that a second `control` waits. Nothing that it
holds in memory matters: a new one reads it all again. Beside it, it anchors the audit log, has files indexed, and tells
search replicas what happened to their stores.
"""

import asyncio
import logging
from typing import Any

import orjson
from ray import serve

from api.audit.anchoring import Anchoring
from api.control.feed import StoreFeed
from api.control.ingesting import Ingesting
from api.control.jobs import Jobs
from api.control.leadership import Leadership
from api.control.reembedding import Reembedding
from api.db import models as model_queries
from api.db import privacy as privacy_queries
from api.db.notifications import listen
from api.db.session import Database
from configs import telemetry
from configs.cluster import Cluster
from configs.errors import NotFound, Unavailable
from configs.specs import ModelSpec
from models.wire import Call, Usage
from retrieval import pages
from retrieval.feed import StoreKey
from retrieval.shards import Shard
from serving import closed_door
from serving.everywhere import EveryReplica
from serving.feed import CHANGES, HEADS
from serving.link.server import StreamReply
from serving.linked import Linked
from serving.names import CONTROL_APP, CONTROL_DEPLOYMENT
from serving.notes import Place, forget_place, write_place
from serving.reconciler import Reconciler
from serving.sharded import finder_of
from serving.status import ModelState, Status

log = logging.getLogger(__name__)

METRICS = "/metrics"
PERIOD_S = 60.0
"""A change wakes the loop at once; this is for what was missed."""
RETRY_S = 2.0
"""After a failure, while another `control` leads, and while what stands in the way ends."""


class Control(Linked):
    """The Serve deployment."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Serve awaits it
        closed_door.shut()
        cluster = Cluster.from_environment()
        telemetry.begin(cluster.configuration.general_settings.log_level)
        url = cluster.database_url.get_secret_value()
        self._database = Database(url, pool_size=2, application="manta control")
        self._jobs = Jobs(cluster)
        self._feed = StoreFeed.of(cluster)
        self._leadership = Leadership(url)
        self._ingesting = Ingesting.of(cluster, self._leadership.held)
        self._reembedding = Reembedding.of(cluster, EveryReplica.of(cluster, finder_of(cluster)), self._leadership.held)
        self._reconciler = Reconciler()
        self._status = Status()
        self._anchoring = Anchoring.of(cluster)
        self._specs: list[ModelSpec] = []
        self._wake = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._run()),
            asyncio.create_task(
                listen(url, [model_queries.CHANNEL, privacy_queries.CHANNEL], lambda _: self._wake.set())
            ),
            asyncio.create_task(self._anchoring.run()),
            asyncio.create_task(self._ingesting.run()),
            asyncio.create_task(self._reembedding.run()),
        ]
        place = await self._open_door(cluster)
        write_place(Place(CONTROL_APP, self._replica, place.host, place.port, place.tls, label="part"))

    async def answer(self, call: Call, reply: StreamReply) -> None:
        """For metrics, or for what search replicas ask all the time (`serving.feed`)."""
        self._leases.use(call.lease)
        told = await self._told(call)
        reply.head("text/plain" if call.path == METRICS else "application/octet-stream")
        reply.data(told)
        reply.end(Usage())

    async def _told(self, call: Call) -> bytes:
        if call.path == CHANGES:
            store_id, after, seen, *shard = orjson.loads(call.body)
            return pages.pack(await self._feed.changes(store_id, after, seen, Shard(*shard)))
        if call.path == HEADS:
            return orjson.dumps(await self._feed.heads(orjson.loads(call.body)))
        if call.path == METRICS:
            return await self._ingesting.metrics()
        raise NotFound("There is no such call.")

    async def states(self) -> bytes:
        """How every wanted model stands, as JSON: {name: {state, phase, replicas, message}}."""
        states = await asyncio.to_thread(self._status.states, self._specs)
        return orjson.dumps({name: _as_dict(state) for name, state in states.items()})

    async def open_store(self, store_id: str) -> StoreKey:
        """See `retrieval.feed.Feed`."""
        return await self._feed.open_store(store_id)

    async def outdated(self, places: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """See `retrieval.feed.Feed`."""
        return await self._feed.outdated(places)

    async def check_health(self) -> None:
        """Serve asks; a loop that ended is a reason to start anew."""
        for task in self._tasks:
            if task.done():
                raise RuntimeError("a task of control ended") from task.exception()

    async def __del__(self) -> None:
        """Serve stops this replica."""
        forget_place(self._replica)
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await self._ingesting.close()
        await self._reembedding.close()
        await self._anchoring.close()
        await self._leadership.close()
        await self._jobs.close()
        await self._feed.close()
        await self._database.close()

    async def _run(self) -> None:
        while True:
            await self._sleep(PERIOD_S if await self._reconciled() else RETRY_S)

    async def _reconciled(self) -> bool:
        """Whether this one leads and what runs is what is wanted."""
        try:
            if await self._leadership.held():
                done = await self._reconcile()
                await self._jobs.run()
                return done
        except Unavailable:
            log.info("the database is away; what runs goes on")
        except Exception:
            log.exception("reconciling failed")
        return False

    async def _reconcile(self) -> bool:
        async with self._database.unit() as session:
            rows = await model_queries.all_rows(session)
        before = {spec.model_name for spec in self._specs}
        self._specs = [spec for spec, _ in rows]
        done = await asyncio.to_thread(self._reconciler.reconcile, self._specs)
        for name in before - {spec.model_name for spec in self._specs}:
            self._reconciler.forget(name)
        return done

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()


def control_app() -> serve.Application:
    """What `serve.run(..., name=CONTROL_APP, route_prefix=None)` is given."""
    deployment = serve.deployment(Control, name=CONTROL_DEPLOYMENT).options(
        num_replicas=1, max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.05}
    )
    return deployment.bind()


def _as_dict(state: ModelState) -> dict[str, Any]:
    return {"state": state.state, "phase": state.phase, "replicas": state.replicas, "message": state.message}
