"""Ingest on Ray: an actor per group at work, whose process gets the cores only while nobody else wants them.

An actor and not a task, because a process at idle priority can never be raised again, and Ray gives the process of a
task that is over to the next replica that starts. It also keeps the embedder, and gives its memory back when there is
nothing to do. It has no database address: batches are streamed to whoever called.
"""

import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import ray

from configs import plugins, telemetry
from configs.ingest_specs import IngestSpec
from configs.specs import ModelSpec
from models.embedding.protocol import Embedder
from serving.ingest.protocol import Batch, Group, Source
from serving.ingest.work import work

log = logging.getLogger(__name__)

AHEAD = 2
"""Batches that are made before the one that is being written is taken."""
NICEST = 19


def lower_priority() -> None:
    """This thread, and what it starts from now on, runs when nothing else wants to."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except PermissionError:
        log.info("idle scheduling is not allowed here; the lowest niceness does")
        os.nice(NICEST)


def load(model: str) -> Embedder:
    """The embedder of a `ModelSpec` in JSON, for this process alone, with all cores.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    spec = ModelSpec.model_validate_json(model)
    own = {"device": "auto", "threads": len(os.sched_getaffinity(0))}
    create = plugins.load("models.embedding", spec.params.backend)
    embedder: Embedder = create(spec.model_copy(update={"engine": spec.engine_arguments | own}))
    embedder.warm_up()
    return embedder


class IngestWorker:
    """The actor. Its calls come one after the other, on its main thread."""

    def __init__(self, log_level: str) -> None:
        lower_priority()
        telemetry.begin(log_level)
        self._loaded: tuple[str, Embedder] | None = None

    def ready(self) -> None:
        """It lives."""

    def run(self, group: Group, source: Source) -> Iterator[Batch]:
        """See `serving.ingest.work.work`."""
        if self._loaded is None or self._loaded[0] != group.model:
            self._loaded = None
            self._loaded = (group.model, load(group.model))
        yield from work(group, source, self._loaded[1])


class RayRunner:
    """See `Runner`."""

    def __init__(self, spec: IngestSpec, log_level: str) -> None:
        self._spec = spec
        self._log_level = log_level
        self._free: list[Any] = []

    async def run(self, group: Group, source: Source) -> AsyncGenerator[Batch, None]:
        """In a worker that is free, or a new one. One whose work broke off or was cancelled is ended."""
        worker = await self._taken()
        whole = False
        try:
            call = worker.run.options(num_returns="streaming", _generator_backpressure_num_objects=AHEAD)
            async for batch in call.remote(group, source):
                yield await batch
            whole = True
        finally:
            if whole:
                self._free.append(worker)
            else:
                _end(worker)

    async def rest(self) -> None:
        """End the workers that are free."""
        while self._free:
            _end(self._free.pop())

    async def _taken(self) -> Any:  # noqa: ANN401  Ray's handle
        while self._free:
            worker = self._free.pop()
            with contextlib.suppress(ray.exceptions.RayError):  # it ended while it had nothing to do
                await worker.ready.remote()
                return worker
        return self._made()

    def _made(self) -> Any:  # noqa: ANN401  Ray's handle
        options = self._spec.ray_actor_options.model_dump(exclude_none=True)
        actor = ray.remote(IngestWorker).options(**options, max_restarts=0, max_task_retries=0)
        return actor.remote(self._log_level)


def _end(worker: Any) -> None:  # noqa: ANN401  Ray's handle
    with contextlib.suppress(ValueError, ray.exceptions.RayError):  # it has ended by itself
        ray.kill(worker, no_restart=True)
