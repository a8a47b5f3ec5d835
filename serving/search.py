"""Vector search: a Serve application of its own whose replicas hold stores in memory and follow their changes.

FAISS works in threads, one OpenMP thread each, so that searches go on side by side and the replica's loop stays free.
torch is never imported here: two OpenMP runtimes in a process slow each other or end it. It knows no user and no SQL.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
from ray import serve

from configs import telemetry
from configs.cluster import Cluster
from configs.datadir import Layout
from models.wire import Call, Usage
from retrieval.following import Following
from retrieval.index.segments import choose_place, gpus, limit_threads
from retrieval.loading import LOADS, WAITING
from retrieval.pacing import Pools
from retrieval.questions import pack_hits, unpack
from retrieval.shards import Shard
from retrieval.shelf import Shelf
from serving import closed_door
from serving.apps import scaling
from serving.feed import ControlFeed
from serving.link.server import StreamReply
from serving.linked import Linked
from serving.names import SEARCH_DEPLOYMENT, search_apps
from serving.notes import Place, forget_place, write_place

SEARCH_THREADS = 4
CHANGE_THREADS = 2
KEEP_THREADS = LOADS + 2
"""For what takes long: small stores that are read, a large one, and one that is melted or saved wait for none."""
DRAIN_TIMEOUT_S = 60.0
HEALTH_PERIOD_S = 2.0
"""Also how soon Serve sees that the process is gone."""


class Search(Linked):
    """The Serve deployment; errors are those of `configs.errors`."""

    async def __init__(self, shard: int = 0) -> None:  # type: ignore[misc]  # Serve awaits it
        closed_door.shut()
        cluster = Cluster.from_environment()
        telemetry.begin(cluster.configuration.general_settings.log_level)
        threads = min(SEARCH_THREADS, len(os.sched_getaffinity(0)))
        self._pools = Pools(
            ThreadPoolExecutor(threads, "search", limit_threads, (1,)),
            ThreadPoolExecutor(CHANGE_THREADS, "change", limit_threads, (1,)),
            ThreadPoolExecutor(KEEP_THREADS, "keep", limit_threads, (1,)),
        )
        spec = cluster.configuration.search
        place = choose_place(spec.device, gpus())
        shelf = Shelf(Layout(cluster.data_dir).search, place, spec.store_bytes, Shard(shard, spec.shards))
        self._following = Following(
            ControlFeed(cluster),
            shelf,
            self._pools,
            place,
            threads,
            spec.store_bytes,
            spec.memory_bytes,
        )
        self._task = asyncio.create_task(self._following.run())
        address = await self._open_door(cluster)
        app = search_apps(spec.shards)[shard]
        write_place(Place(app, self._replica, address.host, address.port, address.tls, label="part"))

    async def answer(self, call: Call, reply: StreamReply) -> None:
        """For metrics, or `retrieval.finding.Finder.find` as bytes (`retrieval.questions`)."""
        if call.path == "/metrics":
            reply.head("text/plain")
            reply.data(self._following.meter.page())
            reply.end(Usage())
            return
        self._leases.use(call.lease)
        if (task := asyncio.current_task()) is not None:
            reply.on_cancel(task.cancel)
        asked = unpack(call.body)
        found = await self._following.find(asked.store_id, asked.min_seq, asked.queries)
        reply.head("application/json")
        reply.data(pack_hits(found))
        reply.end(Usage())

    async def stats(self) -> dict[str, Any]:
        """`stores`: the numbers of each one in memory; `rss_bytes` and `pid` of this process."""
        return {
            "stores": self._following.stats(),
            "rss_bytes": psutil.Process().memory_info().rss,
            "pid": os.getpid(),
        }

    async def check_health(self) -> None:
        """Serve asks; a loop that ended is a reason to start anew."""
        if self._task.done():
            raise RuntimeError("following the stores ended") from self._task.exception()

    async def __del__(self) -> None:
        """Serve calls this once all leases ended."""
        forget_place(self._replica)
        self._server.close()
        self._task.cancel()
        await self._following.close()
        for pool in self._pools:
            pool.shutdown()


def search_targets(cluster: Cluster) -> list[serve.RunTarget]:
    """All shards, for `serve.run_many`."""
    names = search_apps(cluster.configuration.search.shards)
    return [
        serve.RunTarget(search_app(cluster, number), name=name, route_prefix=None) for number, name in enumerate(names)
    ]


def search_app(cluster: Cluster, shard: int = 0) -> serve.Application:
    """One shard: what `serve.run(..., name=..., route_prefix=None)` is given with its name of `search_apps`."""
    spec = cluster.configuration.search
    deployment = serve.deployment(Search, name=SEARCH_DEPLOYMENT).options(
        **scaling(spec.autoscaling),
        max_ongoing_requests=2 * WAITING,
        ray_actor_options=spec.ray_actor_options.model_dump(exclude_none=True),
        health_check_period_s=HEALTH_PERIOD_S,
        graceful_shutdown_timeout_s=DRAIN_TIMEOUT_S,
    )
    return deployment.bind(shard)
