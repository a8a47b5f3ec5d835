"""How often a model is asked who it is, by many who search at once."""

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest

from api.db.vector_stores import Searched
from api.directory import Entry
from api.knowledge.probing import Probes
from configs.errors import Forbidden, Unavailable
from configs.specs import ModelSpec
from models.embedding.probe import kept
from models.embedding.protocol import Vectors

LAB = ModelSpec.model_validate({"model_name": "lab", "kind": "embedding", "params": {"model": "remote/lab"}})
VECTOR = np.ones(4, np.float32)
ENTRY = Entry("lab", LAB, 1)


class Asked:
    """What is asked of the model; it answers when `go_on` is set."""

    def __init__(self, vector: Vectors = VECTOR) -> None:
        self.vector = vector
        self.times = 0
        self.go_on = asyncio.Event()
        self.refused: Exception | None = None

    async def __call__(self, entry: Entry) -> Vectors:
        self.times += 1
        await self.go_on.wait()
        if self.refused is not None:
            raise self.refused
        return self.vector


async def checked(probes: Probes, ask: Asked, entry: Entry = ENTRY) -> None:
    store = Searched("vs_1", "org", "key", datetime.now(UTC), None, "vs_1", 1, len(VECTOR), "lab", kept(VECTOR))
    await probes.check([store], {"lab": entry}, ask)


async def begun(probes: Probes, *asks: Asked) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(checked(probes, ask)) for ask in asks]
    await asyncio.sleep(0.01)
    return tasks


async def test_who_searches_at_once_shares_one_question() -> None:
    probes, ask = Probes(), Asked()
    tasks = await begun(probes, *[ask] * 20)
    assert ask.times == 1
    ask.go_on.set()
    await asyncio.gather(*tasks)
    await checked(probes, ask)
    assert ask.times == 1
    await checked(probes, ask, Entry("lab", LAB, 2))
    assert ask.times == 2


async def test_who_began_may_leave() -> None:
    probes, ask = Probes(), Asked()
    first, second = await begun(probes, ask, ask)
    first.cancel()
    await asyncio.sleep(0.01)
    ask.go_on.set()
    await second
    assert (first.cancelled(), ask.times) == (True, 1)


async def test_what_is_refused_to_one_is_not_refused_to_all() -> None:
    probes, stranger, friend = Probes(), Asked(), Asked()
    stranger.refused = Forbidden("not yours")
    first, second = await begun(probes, stranger, friend)
    stranger.go_on.set()
    friend.go_on.set()
    with pytest.raises(Forbidden):
        await first
    await second
    assert (stranger.times, friend.times) == (1, 1)


async def test_another_model_is_another_for_all() -> None:
    probes, ask = Probes(), Asked(np.array([1, -1, 1, -1], np.float32))
    ask.go_on.set()
    for each in await begun(probes, ask, ask):
        with pytest.raises(Unavailable, match="other vectors"):
            await each
