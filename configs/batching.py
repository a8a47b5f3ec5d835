"""Self-clocking batches: whenever the worker is free it takes what is queued, at once; there is no timer.

So an idle worker answers a single item without delay, and under load the time one batch takes is the time in which the
next one gathers. (text-embeddings-inference queues so; Ray Serve's `@serve.batch` waits for a timer even when idle.)
It knows no model: the work is a blocking function that is called in one thread.
"""

import asyncio
import copy
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from configs.errors import Internal, MantaError, Overloaded, Unavailable
from configs.fair_queue import BatchLimits, Entry, FairQueue

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

WAIT_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


@dataclass(slots=True)
class BatchStats:
    """Counters since the start; `waits` counts items by queue wait, one bucket per `WAIT_BUCKETS_S` and one above."""

    batches: int = 0
    items: int = 0
    size: int = 0
    padded_size: int = 0
    busy_s: float = 0.0
    idle_with_work_s: float = 0.0
    wait_s: float = 0.0
    refused: int = 0
    cancelled: int = 0
    failed: int = 0
    waits: list[int] = field(default_factory=lambda: [0] * (len(WAIT_BUCKETS_S) + 1))

    def observe_wait(self, wait_s: float) -> None:
        """Count one item that waited `wait_s`."""
        self.wait_s += wait_s
        self.waits[next((i for i, top in enumerate(WAIT_BUCKETS_S) if wait_s <= top), len(WAIT_BUCKETS_S))] += 1


class _Job(Generic[Item, Result]):
    """One caller's items and the future that they resolve together."""

    def __init__(self, count: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[list[Result]] = self.loop.create_future()
        self.results: list[Result | None] = [None] * count
        self.missing = count
        self.entries: list[Entry[_Job[Item, Result], Item]] = []
        self.error: MantaError | None = None

    def resolve(self) -> None:
        """Hand over what came; runs on the caller's loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.results)  # type: ignore[arg-type]  # complete: nothing is missing


class Batcher(Generic[Item, Result]):
    """Gathers items of many callers into batches for one blocking function.

    `run` gets a batch and returns one result per item, in order; it is only ever called in one thread. Callers may be
    on any event loop. An exception of `run` fails the callers of that batch and no others.
    """

    def __init__(
        self, run: Callable[[list[Item]], Sequence[Result]], limits: BatchLimits, *, max_queued: int, name: str
    ) -> None:
        self._run = run
        self._max_queued = max_queued
        self._queue: FairQueue[_Job[Item, Result], Item] = FairQueue(limits)
        self._wake = threading.Condition()
        self._closed = False
        self._started_s: float | None = None
        self.stats = BatchStats()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Summed size of what waits."""
        return self._queue.size

    @property
    def busy_for_s(self) -> float:
        """How long the running batch has been running; 0 when none is. A health check asks this."""
        started_s = self._started_s
        return 0.0 if started_s is None else time.monotonic() - started_s

    async def submit(self, items: Sequence[Item], sizes: Sequence[int]) -> list[Result]:
        """The results of `items`, in order. A caller that is cancelled takes its waiting items with it.

        Raises:
            Overloaded: more than `max_queued` would wait; an empty queue takes any caller.
            Unavailable: the batcher is closed.
            Internal: `run` failed on a batch with one of the items (a `MantaError` of `run` is raised as it is).
        """
        if not items:
            return []
        job: _Job[Item, Result] = _Job(len(items))
        with self._wake:
            self._admit(sum(sizes))
            job.entries = self._queue.put(job, items, sizes, time.monotonic())
            self._wake.notify()
        try:
            return await job.future
        except asyncio.CancelledError:
            with self._wake:
                self.stats.cancelled += self._queue.drop(job.entries)
            raise

    def _admit(self, size: int) -> None:
        if self._closed:
            raise Unavailable("This model is shutting down.", retry_after_s=1.0)
        if self._queue.size and self._queue.size + size > self._max_queued:
            self.stats.refused += 1
            raise Overloaded("Too much is waiting for this model; try again later.", retry_after_s=self._wait_s())

    def _wait_s(self) -> float:
        """How long the queue takes at the pace seen so far, at least a second."""
        pace = self.stats.size / self.stats.busy_s if self.stats.busy_s else float("inf")
        return max(1.0, round(self._queue.size / pace, 1))

    def close(self) -> None:
        """Finish the running batch, refuse what waits, end the thread."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        free_s = time.monotonic()
        try:
            while batch := self._next(free_s):
                self._settle(batch, self._attempt(batch))
                free_s = time.monotonic()
        finally:
            with self._wake:
                self._closed = True
                left = self._queue.drain()
            self._settle(left, Unavailable("This model is shutting down.", retry_after_s=1.0))

    def _next(self, free_s: float) -> list[Entry[_Job[Item, Result], Item]]:
        with self._wake:
            while not self._closed:
                if batch := self._queue.take():
                    self._count(batch, free_s)
                    return batch
                self._wake.wait()
            return []

    def _count(self, batch: list[Entry[_Job[Item, Result], Item]], free_s: float) -> None:
        now_s, stats = time.monotonic(), self.stats
        stats.batches += 1
        stats.items += len(batch)
        stats.size += sum(entry.size for entry in batch)
        stats.padded_size += len(batch) * max(entry.size for entry in batch)
        stats.idle_with_work_s += now_s - max(free_s, min(entry.since_s for entry in batch))
        for entry in batch:
            stats.observe_wait(now_s - entry.since_s)
        self._started_s = now_s

    def _attempt(self, batch: list[Entry[_Job[Item, Result], Item]]) -> Sequence[Result] | MantaError:
        try:
            return _one_each(self._run([entry.item for entry in batch]), len(batch))
        except MantaError as error:
            return error
        except Exception as fault:  # whatever the model did, it concerns this batch's callers only
            log.exception("the model failed on a batch of %d", len(batch))
            failure = Internal("The model failed on this request.")
            failure.__cause__ = fault
            return failure
        finally:
            started_s, self._started_s = self._started_s, None
            self.stats.busy_s += time.monotonic() - (started_s or 0.0)

    def _settle(self, batch: list[Entry[_Job[Item, Result], Item]], outcome: Sequence[Result] | MantaError) -> None:
        """Note each entry's outcome and wake the callers that are complete, once per loop."""
        ready: dict[asyncio.AbstractEventLoop, list[_Job[Item, Result]]] = {}
        for position, entry in enumerate(batch):
            job = entry.owner
            if isinstance(outcome, MantaError):
                complete = self._fail(job, outcome)
            else:
                job.results[entry.index] = outcome[position]
                job.missing -= 1
                complete = job.missing == 0 and job.error is None
            if complete:
                ready.setdefault(job.loop, []).append(job)
        for loop, jobs in ready.items():
            _wake_callers(loop, jobs)

    def _fail(self, job: _Job[Item, Result], error: MantaError) -> bool:
        """Give `job` an error of its own, once, and forget its other items."""
        if job.error is not None:
            return False
        job.error = copy.copy(error)
        job.error.__cause__ = error.__cause__
        with self._wake:
            self._queue.drop(job.entries)
            self.stats.failed += 1
        return True


def _one_each(results: Sequence[Result], count: int) -> Sequence[Result]:
    if len(results) != count:
        msg = f"{len(results)} results for {count} items"
        raise ValueError(msg)
    return results


def _wake_callers(loop: asyncio.AbstractEventLoop, jobs: Sequence[_Job[Item, Result]]) -> None:
    def resolve() -> None:
        for job in jobs:
            job.resolve()

    with suppress(RuntimeError):  # the loop was closed in the meantime: no caller is left to tell
        loop.call_soon_threadsafe(resolve)
