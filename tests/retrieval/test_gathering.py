import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from retrieval.gathering import BATCH, Gathering


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


class Doubling:
    """Doubles numbers, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        assert self.let.wait(20)
        if -1 in numbers:
            raise ValueError("no number")
        return [2 * number for number in numbers]


async def test_who_comes_first_goes_at_once_and_the_others_together(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    gathering = Gathering(doubling, threads, lanes=1)
    asked = [asyncio.create_task(gathering.ask([number])) for number in range(BATCH + 11)]
    await asyncio.sleep(0.05)
    assert doubling.batches == [[0]]
    doubling.let.set()
    assert await asyncio.gather(*asked) == [[2 * number] for number in range(BATCH + 11)]
    assert [len(batch) for batch in doubling.batches] == [1, BATCH, 10]


async def test_as_many_batches_run_as_there_are_lanes(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    gathering = Gathering(doubling, threads, lanes=2)
    asked = [asyncio.create_task(gathering.ask([number])) for number in range(12)]
    await asyncio.sleep(0.05)
    assert doubling.batches == [[0], [1]]
    doubling.let.set()
    assert await asyncio.gather(*asked) == [[2 * number] for number in range(12)]
    assert max(map(len, doubling.batches)) == 6, "no lane takes what the others could"


async def test_an_error_reaches_its_batch_and_no_other(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.let.set()
    gathering = Gathering(doubling, threads, lanes=1)
    with pytest.raises(ValueError, match="no number"):
        await gathering.ask([-1])
    assert await gathering.ask([4]) == [8]


async def test_who_left_is_not_answered_for(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    gathering = Gathering(doubling, threads, lanes=1)
    first, second, third = (asyncio.create_task(gathering.ask([number])) for number in range(3))
    await asyncio.sleep(0.05)
    second.cancel()
    await asyncio.sleep(0)
    doubling.let.set()
    assert [await first, await third] == [[0], [4]]
    assert doubling.batches == [[0], [2]]
