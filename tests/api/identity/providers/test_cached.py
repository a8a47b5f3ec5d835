import asyncio

import pytest

from api.identity.providers.cached import Cached
from configs.errors import Unavailable


class Source:
    """Counts how often it was asked; `gate` holds an answer back."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.down = False

    async def load(self) -> int:
        self.asked += 1
        await self.gate.wait()
        if self.down:
            raise Unavailable("down")
        return self.asked

    def cached(self) -> Cached[int]:
        return Cached(self.load, 60.0, lambda: self.now)


async def test_a_value_is_kept_for_its_age() -> None:
    source = Source()
    cached = source.cached()
    assert [await cached.get(), await cached.get()] == [1, 1]
    source.now = 59.0
    assert await cached.get() == 1
    source.now = 60.0
    assert await cached.get() == 2
    assert await cached.renewed() == 3


async def test_many_wait_for_one_loading() -> None:
    source = Source()
    source.gate.clear()
    cached = source.cached()
    waiting = [asyncio.ensure_future(cached.get()) for _ in range(50)]
    await asyncio.sleep(0)
    assert cached.is_loading
    source.gate.set()
    assert await asyncio.gather(*waiting) == [1] * 50
    assert not cached.is_loading


async def test_one_who_gives_up_leaves_the_loading_to_the_others() -> None:
    source = Source()
    source.gate.clear()
    cached = source.cached()
    first, second = (asyncio.ensure_future(cached.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    assert await second == 1
    assert first.cancelled()


async def test_a_failure_goes_to_all_who_wait_and_is_not_kept() -> None:
    source = Source()
    source.down = True
    cached = source.cached()
    answers = await asyncio.gather(*(cached.get() for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert source.asked == 1
    source.down = False
    assert await cached.get() == 2


async def test_a_failed_renewal_leaves_the_value_that_was() -> None:
    source = Source()
    cached = source.cached()
    await cached.get()
    source.down = True
    with pytest.raises(Unavailable):
        await cached.renewed()
    assert await cached.get() == 1
