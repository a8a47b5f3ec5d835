"""The search deployment: stores of vectors in a process of their own, called by handle.

    handle.create.remote(store, dimensions, metric)      handle.search.remote(store, queries, k)
    handle.add.remote(store, ids, vectors)               handle.delete.remote(store, ids)

It sees neither texts nor SQL, and loads no torch: FAISS and torch each bring an OpenMP of their own.
"""

import asyncio
import logging
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ray import serve

from configs.cluster import Cluster
from configs.errors import BadRequest, Conflict, StoreNotFound
from retrieval.index.faiss import use_threads
from retrieval.index.protocol import Found, Metric, Shape
from retrieval.index.store import Store
from serving import closed_door

log = logging.getLogger(__name__)

Result = TypeVar("Result")

APP = "search"
DEPLOYMENT = "search"
MAX_REPLICAS = 1
"""A change reaches one replica, and a second would not know of it. More wait for the feed of changes (retrieval)."""

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")
MAX_DIMENSIONS = 8192


class Search:
    """The Serve deployment. FAISS works in one thread; its own threads share a large search."""

    async def __init__(self, folder: str, device: str) -> None:  # type: ignore[misc]  # Serve awaits it
        closed_door.shut()
        self._folder = Path(folder)
        self._device = device
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="faiss")
        use_threads(len(os.sched_getaffinity(0)))
        self._stores = await self._run(self._open_all)

    async def create(self, store: str, dimensions: int, metric: str = Metric.COSINE.value) -> None:
        """Make an empty store.

        Raises:
            BadRequest, Conflict: the name or shape is no good, or the name is taken.
        """
        await self._run(lambda: self._create(store, dimensions, metric))

    async def drop(self, store: str) -> None:
        """Remove a store and its files.

        Raises:
            StoreNotFound: there is none of that name.
        """
        await self._run(lambda: self._drop(store))

    async def add(self, store: str, ids: Any, vectors: Any) -> int:
        """Put vectors [n, dimensions] under ids [n]; on disk when it returns the number of the change.

        Raises:
            BadRequest, StoreNotFound: see `retrieval.index.checks`.
        """
        return await self._run(lambda: self._store(store).add(ids, vectors))

    async def delete(self, store: str, ids: Any) -> int:
        """Take ids out; on disk when it returns the number of the change.

        Raises:
            BadRequest, StoreNotFound: see `retrieval.index.checks`.
        """
        return await self._run(lambda: self._store(store).delete(ids))

    async def search(self, store: str, queries: Any, k: int) -> tuple[Found, int]:
        """The k nearest of each query [n, dimensions], and the change that the answer stands at.

        Raises:
            BadRequest, StoreNotFound: see `retrieval.index.checks`.
        """
        return await self._run(lambda: (self._store(store).search(queries, k), self._store(store).seq))

    async def snapshot(self, store: str) -> int:
        """Write a snapshot; the number of the change it stands at.

        Raises:
            StoreNotFound: there is none of that name.
        """
        return await self._run(lambda: self._store(store).snapshot())

    async def stats(self) -> dict[str, dict[str, Any]]:
        """Every store: how many vectors, of what shape, at which change."""
        return await self._run(self._stats)

    async def check_health(self) -> None:
        """Serve asks; the worker thread answers between two pieces of work."""
        await self._run(lambda: None)

    async def __del__(self) -> None:
        """Serve stops this replica: leave snapshots, so that the next start replays nothing."""
        for name, store in self._stores.items():
            await self._run(store.snapshot)
            store.close()
            log.info("%s stands at change %d", name, store.seq)
        self._worker.shutdown()

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _open_all(self) -> dict[str, Store]:
        self._folder.mkdir(parents=True, exist_ok=True)
        folders = [folder for folder in self._folder.iterdir() if NAME.match(folder.name)]
        return {folder.name: Store.open(folder, self._device) for folder in folders}

    def _create(self, store: str, dimensions: int, metric: str) -> None:
        if not NAME.match(store):
            raise BadRequest("A store's name is 1 to 63 of a-z, 0-9, '-' and '_'.", param="store")
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise BadRequest(f"'dimensions' must be 1 to {MAX_DIMENSIONS}.", param="dimensions")
        if metric not in list(Metric):
            raise BadRequest(f"'metric' must be one of {', '.join(Metric)}.", param="metric")
        if store in self._stores:
            raise Conflict("A store of that name exists.", param="store")
        self._stores[store] = Store.create(self._folder / store, Shape(dimensions, Metric(metric)), self._device)

    def _drop(self, store: str) -> None:
        self._store(store).destroy()
        del self._stores[store]

    def _store(self, name: str) -> Store:
        if name not in self._stores:
            raise StoreNotFound("There is no store of that name.", param="store")
        return self._stores[name]

    def _stats(self) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "size": store.size,
                "dimensions": store.shape.dimensions,
                "metric": store.shape.metric.value,
                "seq": store.seq,
            }
            for name, store in self._stores.items()
        }


def search_app(cluster: Cluster) -> serve.Application:
    """What `serve.run(..., name=APP, route_prefix=None)` is given."""
    spec = cluster.configuration.search
    deployment = serve.deployment(Search, name=DEPLOYMENT).options(
        num_replicas=MAX_REPLICAS,
        max_ongoing_requests=256,
        ray_actor_options=spec.ray_actor_options.model_dump(exclude_none=True),
    )
    return deployment.bind(str(cluster.data_dir / "search"), spec.device)
