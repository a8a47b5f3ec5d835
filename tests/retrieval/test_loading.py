"""Who waits for stores that are being read."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from configs.errors import Unavailable
from retrieval.collection import Collection
from retrieval.feed import StoreKey
from retrieval.followed import Followed
from retrieval.index.protocol import Shape
from retrieval.loading import LARGE_BYTES, LOADS, WAITING, WAITING_FOR_ONE, Lane, Loading
from retrieval.metering import Meter


def made(store_id: str) -> Followed:
    return Followed(StoreKey(store_id, "org", 4, bytes(32)), Collection(Shape(4)), Meter())


class Reader:
    """Reads a store when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.over = asyncio.Event()
        self.loading = Loading(self.read)

    async def read(self, store_id: str, lane: Lane) -> Followed:
        self.begun.append(store_id)
        if "large" in store_id:
            await lane.grown(LARGE_BYTES + 1)
            self.begun.append(f"{store_id} alone")
        await self.over.wait()
        return made(store_id)

    async def asked(self, store_id: str, times: int) -> list[asyncio.Task[Followed]]:
        tasks = [asyncio.create_task(self.loading.wait(store_id)) for _ in range(times)]
        for _ in range(2):  # they wait, and what they wait for begins
            await asyncio.sleep(0)
        return tasks


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    made = Reader()
    yield made
    made.loading.cancel()


async def test_one_task_reads_for_all_who_ask(reader: Reader) -> None:
    tasks = await reader.asked("vs_a", 3)
    reader.over.set()
    assert len({id(await task) for task in tasks}) == 1
    assert reader.begun == ["vs_a"]


async def test_who_asks_when_enough_wait_is_told_at_once(reader: Reader) -> None:
    """So that questions about other stores find a place."""
    waiting = await reader.asked("vs_a", WAITING_FOR_ONE)
    with pytest.raises(Unavailable):
        await reader.loading.wait("vs_a")
    waiting += await reader.asked("vs_b", WAITING - WAITING_FOR_ONE)
    with pytest.raises(Unavailable):
        await reader.loading.wait("vs_c")
    assert reader.begun == ["vs_a", "vs_b"]
    waiting[0].cancel()
    await asyncio.sleep(0)
    waiting += await reader.asked("vs_a", 1)
    reader.over.set()
    assert {(await task).store.store_id for task in waiting[1:]} == {"vs_a", "vs_b"}
    assert (await reader.loading.wait("vs_c")).store.store_id == "vs_c"


async def test_large_stores_make_way_and_wait_for_each_other(reader: Reader) -> None:
    for number in range(LOADS + 1):
        await reader.asked(f"vs_large{number}", 1)
    small = [task for number in range(LOADS + 1) for task in await reader.asked(f"vs_{number}", 1)]
    assert [name for name in reader.begun if "large" not in name] == [f"vs_{number}" for number in range(LOADS)]
    assert [name for name in reader.begun if "alone" in name] == ["vs_large0 alone"]
    reader.over.set()
    assert [(await task).store.store_id for task in small] == [f"vs_{number}" for number in range(LOADS + 1)]
    assert (await reader.loading.wait(f"vs_large{LOADS}")).store.store_id == f"vs_large{LOADS}"
