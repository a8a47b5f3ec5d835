import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from configs.batching import WAIT_BUCKETS_S, Batcher, BatchStats
from configs.errors import BadRequest, Internal, Overloaded, Unavailable
from configs.fair_queue import BatchLimits

LIMITS = BatchLimits(size=8, items=8, padding=8)


class Gate:
    """A blocking function that doubles its items, one `step` at a time, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.entered = threading.Semaphore(0)
        self.release = threading.Semaphore(0)
        self.fault: BaseException | None = None

    def __call__(self, items: list[int]) -> list[int]:
        self.threads.add(threading.get_ident())
        self.batches.append(items)
        self.entered.release()
        assert self.release.acquire(timeout=60)
        if self.fault is not None:
            raise self.fault
        return [2 * item for item in items]

    async def running(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=60)


@asynccontextmanager
async def batcher(
    run: Callable[[list[int]], Sequence[int]], *, max_queued: int = 100
) -> AsyncIterator[Batcher[int, int]]:
    made = Batcher(run, LIMITS, max_queued=max_queued, name="test")
    try:
        yield made
    finally:
        if isinstance(run, Gate):
            run.release.release(1000)
        await asyncio.to_thread(made.close)


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - the state belongs to another thread, which sets no event
        await asyncio.sleep(0)


async def queued(made: Batcher[int, int], size: int) -> None:
    await until(lambda: made.queued == size)


def ask(made: Batcher[int, int], *items: int) -> "asyncio.Task[list[int]]":
    return asyncio.create_task(made.submit(items, [1] * len(items)))


async def test_a_lone_item_runs_at_once_and_what_came_meanwhile_is_one_batch() -> None:
    gate = Gate()
    async with batcher(gate) as made:
        first = ask(made, 1)
        await gate.running()
        others = [ask(made, n) for n in (2, 3, 4)]
        await queued(made, 3)
        gate.release.release(2)
        assert [await job for job in (first, *others)] == [[2], [4], [6], [8]]
    assert gate.batches == [[1], [2, 3, 4]]
    assert len(gate.threads) == 1


async def test_one_callers_list_is_split_over_batches_and_comes_back_in_order() -> None:
    gate = Gate()
    gate.release.release(100)
    async with batcher(gate) as made:
        assert await ask(made, *range(50)) == [2 * n for n in range(50)]
    assert max(map(len, gate.batches)) <= 8


async def test_no_items_need_no_batch() -> None:
    gate = Gate()
    async with batcher(gate) as made:
        assert await made.submit([], []) == []
    assert gate.batches == []


async def test_a_cancelled_callers_items_never_run() -> None:
    gate = Gate()
    async with batcher(gate) as made:
        first = ask(made, 1)
        await gate.running()
        gone, kept = ask(made, 2, 3), ask(made, 4)
        await queued(made, 3)
        gone.cancel()
        await queued(made, 1)
        gate.release.release(2)
        assert [await first, await kept] == [[2], [8]]
        assert made.stats.cancelled == 2
    assert gate.batches == [[1], [4]]


async def test_a_caller_that_leaves_during_its_batch_disturbs_nobody() -> None:
    gate = Gate()
    async with batcher(gate) as made:
        gone = ask(made, 1)
        await gate.running()
        gone.cancel()
        kept = ask(made, 2)
        gate.release.release(2)
        assert await kept == [4]
        with pytest.raises(asyncio.CancelledError):
            await gone


async def test_a_fault_fails_the_callers_of_that_batch_only() -> None:
    gate = Gate()
    async with batcher(gate) as made:
        first = ask(made, 1)
        await gate.running()
        gate.fault = RuntimeError("secret detail")
        gate.release.release()
        with pytest.raises(Internal) as raised:
            await first
        assert "secret" not in str(raised.value)
        assert isinstance(raised.value.__cause__, RuntimeError)
        gate.fault = None
        gate.release.release()
        assert await ask(made, 2) == [4]
        assert made.stats.failed == 1


async def test_a_failed_callers_other_items_are_dropped() -> None:
    gate = Gate()
    async with batcher(gate) as made:
        job = ask(made, *range(20))
        await gate.running()
        gate.fault = BadRequest("no")
        gate.release.release()
        with pytest.raises(BadRequest, match="no"):
            await job
        assert made.queued == 0


async def test_too_few_results_are_a_fault() -> None:
    def short(items: list[int]) -> list[int]:
        return items[1:]

    async with batcher(short) as made:
        with pytest.raises(Internal):
            await ask(made, 1, 2)


async def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    gate = Gate()
    async with batcher(gate, max_queued=5) as made:
        running = ask(made, 1)
        await gate.running()
        waiting = ask(made, 2, 3, 4, 5)
        await queued(made, 4)
        with pytest.raises(Overloaded) as raised:
            await ask(made, 6, 7)
        assert raised.value.retry_after_s is not None
        assert raised.value.retry_after_s >= 1.0
        gate.release.release(2)
        assert [await running, await waiting] == [[2], [4, 6, 8, 10]]
        assert made.stats.refused == 1


async def test_an_empty_queue_takes_a_caller_of_any_size() -> None:
    gate = Gate()
    gate.release.release(1000)
    async with batcher(gate, max_queued=5) as made:
        assert len(await ask(made, *range(40))) == 40


async def test_closing_refuses_what_waits_and_what_comes() -> None:
    gate = Gate()
    async with batcher(gate) as made:
        running = ask(made, 1)
        await gate.running()
        waiting = ask(made, 2)
        await queued(made, 1)
        closing = asyncio.create_task(asyncio.to_thread(made.close))
        await until(lambda: made._closed)
        gate.release.release()
        assert await running == [2]
        for late in (waiting, ask(made, 3)):
            with pytest.raises(Unavailable):
                await late
        await closing


async def test_callers_of_two_loops_share_a_batch() -> None:
    gate = Gate()
    async with batcher(gate) as made:
        first = ask(made, 1)
        await gate.running()

        async def elsewhere() -> list[int]:
            return await made.submit([5], [1])

        other = asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(elsewhere())))
        mine = ask(made, 2)
        await queued(made, 2)
        gate.release.release(2)
        assert [await first, await mine, await other] == [[2], [4], [10]]
    assert sorted(gate.batches[1]) == [2, 5]


async def test_a_loop_that_died_does_not_stop_the_worker() -> None:
    gate = Gate()
    async with batcher(gate) as made:

        def abandon() -> None:
            loop = asyncio.new_event_loop()
            task = loop.create_task(made.submit([1], [1]))
            loop.run_until_complete(asyncio.sleep(0))
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch
            loop.close()

        await asyncio.to_thread(abandon)
        gate.release.release(2)
        assert await ask(made, 2) == [4]


async def test_the_counters_add_up() -> None:
    gate = Gate()
    async with batcher(gate) as made:
        first = asyncio.create_task(made.submit([1], [3]))
        await gate.running()
        assert made.busy_for_s > 0
        second = asyncio.create_task(made.submit([2, 3], [2, 3]))
        await queued(made, 5)
        gate.release.release(2)
        await asyncio.gather(first, second)
    stats = made.stats
    assert (stats.batches, stats.items, stats.size, stats.padded_size) == (2, 3, 8, 9)
    assert sum(stats.waits) == 3
    assert stats.busy_s > 0
    assert stats.idle_with_work_s >= 0
    assert made.busy_for_s == 0


def test_a_wait_is_counted_once_in_its_bucket() -> None:
    stats = BatchStats()
    for wait_s in (0.0005, 0.004, 1e9):
        stats.observe_wait(wait_s)
    assert stats.waits[0] == stats.waits[2] == stats.waits[len(WAIT_BUCKETS_S)] == 1


async def test_many_callers_all_get_their_own() -> None:
    def slow(items: list[int]) -> list[int]:
        time.sleep(0.0005)
        return [2 * item for item in items]

    async with batcher(slow, max_queued=10_000) as made:
        answers = await asyncio.gather(*(ask(made, n, n + 1) for n in range(500)))
    assert answers == [[2 * n, 2 * n + 2] for n in range(500)]
