"""Vector search: a Serve application of its own that holds all stores in one process.

FAISS works in threads, one OpenMP thread each, so that searches go on side by side and the replica's loop stays free.
torch is never imported here: two OpenMP runtimes in a process slow each other or end it. It knows no user and no SQL.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, TypeVar

import numpy.typing as npt
import psutil
from ray import serve

from configs import telemetry
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.errors import ConfigurationError
from retrieval.index.faiss import limit_threads
from retrieval.index.protocol import Ids, Shape, Vectors
from retrieval.store import Store
from retrieval.stores import Stores
from serving import closed_door
from serving.names import SEARCH_DEPLOYMENT

log = logging.getLogger(__name__)

MAX_REPLICAS = 1
"""A second replica would not see what the first one changed; more of them need a change feed."""
SEARCH_THREADS = 4
CHANGE_THREADS = 2
WAIT_FOR_OLD_S = 60.0
"""How long a new replica waits for the old one to let go of the folder."""
DRAIN_TIMEOUT_S = 60.0
HEALTH_PERIOD_S = 2.0
"""Also how soon Serve sees that the process is gone."""

T = TypeVar("T")


class Search:
    """The Serve deployment. Arrays go in and out as numpy's; errors are those of `configs.errors`."""

    async def __init__(self) -> None:  # type: ignore[misc]  # Serve awaits it
        closed_door.shut()
        cluster = Cluster.from_environment()
        telemetry.begin(cluster.configuration.general_settings.log_level)
        folder, device = Layout(cluster.data_dir).search, cluster.configuration.search.device
        threads = min(SEARCH_THREADS, len(os.sched_getaffinity(0)))
        self._searching = ThreadPoolExecutor(threads, "search", limit_threads, (1,))
        self._changing = ThreadPoolExecutor(CHANGE_THREADS, "change", limit_threads, (1,))
        self._snapshots: dict[str, asyncio.Future[bool]] = {}
        self._stores = await self._change(lambda: Stores.open(folder, device, WAIT_FOR_OLD_S))

    async def create(self, store: str, dimensions: int, metric: str = "cosine", kind: str = "flat") -> bool:
        """Make a store; false when it is there already with the same shape.

        Raises:
            BadRequest: a name, dimension, metric or kind that is none.
            Conflict: it is there with another shape.
            Unavailable: the disk is full or refuses.
        """
        shape = Shape.of(dimensions, metric, kind)
        return await self._change(lambda: self._stores.create(store, shape))

    async def add(self, store: str, ids: npt.ArrayLike, vectors: npt.ArrayLike) -> int:
        """See `Store.add`."""
        found = self._stores[store]
        added = await self._change(lambda: found.add(ids, vectors))
        self._tidy(store, found)
        return added

    async def delete(self, store: str, ids: npt.ArrayLike) -> int:
        """See `Store.delete`."""
        found = self._stores[store]
        deleted = await self._change(lambda: found.delete(ids))
        self._tidy(store, found)
        return deleted

    async def search(self, store: str, queries: npt.ArrayLike, k: int) -> tuple[Ids, Vectors]:
        """See `Store.search`."""
        found = self._stores[store]
        return await asyncio.get_running_loop().run_in_executor(self._searching, found.search, queries, k)

    async def snapshot(self, store: str) -> bool:
        """See `Store.snapshot`; it is done by itself when a log is long, and at the end."""
        return await self._change(self._stores[store].snapshot)

    async def stats(self) -> dict[str, Any]:
        """`stores`: each one's numbers, None for one that is damaged; `rss_bytes` and `pid` of this process."""
        stores = {name: stats and asdict(stats) for name, stats in self._stores.stats().items()}
        return {"stores": stores, "rss_bytes": psutil.Process().memory_info().rss, "pid": os.getpid()}

    async def check_health(self) -> None:
        """Serve asks; after a disk failed in the middle of a write, only a new process knows what is there."""
        if self._stores.broken:
            raise RuntimeError("the disk failed while a change was written")

    async def __del__(self) -> None:
        """Serve stops this replica."""
        await self._change(self._stores.snapshot_all)
        await self._change(self._stores.close)
        self._searching.shutdown()
        self._changing.shutdown()

    async def _change(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._changing, work)

    def _tidy(self, name: str, store: Store) -> None:
        """Snapshot in the background; one that fails says so in the log and is tried at the next change."""
        running = self._snapshots.get(name)
        if store.wants_snapshot and (running is None or running.done()):
            self._snapshots[name] = asyncio.ensure_future(self._change(store.snapshot))
            self._snapshots[name].add_done_callback(_tell)


def _tell(snapshot: asyncio.Future[bool]) -> None:
    if not snapshot.cancelled() and (error := snapshot.exception()) is not None:
        log.error("a snapshot failed", exc_info=error)


def search_app(cluster: Cluster) -> serve.Application:
    """What `serve.run(..., name=SEARCH_APP, route_prefix=None)` is given.

    Raises:
        ConfigurationError: more replicas than MAX_REPLICAS.
    """
    spec = cluster.configuration.search
    if spec.max_replicas > MAX_REPLICAS:
        msg = f"search.max_replicas is {spec.max_replicas}, at most {MAX_REPLICAS}: another would not see its changes"
        raise ConfigurationError(msg)
    deployment = serve.deployment(Search, name=SEARCH_DEPLOYMENT).options(
        num_replicas=MAX_REPLICAS,
        max_ongoing_requests=256,
        ray_actor_options=spec.ray_actor_options.model_dump(exclude_none=True),
        health_check_period_s=HEALTH_PERIOD_S,
        graceful_shutdown_timeout_s=DRAIN_TIMEOUT_S,
    )
    return deployment.bind()
