"""People who add, describe, cancel, take out and delete while the same files are indexed: nobody waits in a ring."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Awaitable

from openai import AsyncOpenAI, NotFoundError

from api.db import ingest
from api.db.ingest_parts import Outcome, Part
from api.db.session import Database
from tests.fixtures.application import Application
from tests.fixtures.database import query
from tests.fixtures.indexed import jobs_of, uploaded
from tests.fixtures.shelves import until
from tests.fixtures.uploads import sdk

ROUNDS = 12


async def work(jobs: Database, over: asyncio.Event) -> int:
    """What `control` does, with chunks of noise; how many files it ended."""
    ended = 0
    while not over.is_set():
        async with jobs.unit() as unit:
            claims = await ingest.claim(unit)
        for store_id, some in itertools.groupby(claims, key=lambda each: each.hold.store_id):
            held = list(some)
            for number in range(2):
                outcome = Outcome(2, 2) if number else None
                parts = [Part(each.hold, [(number, b"x", b"x")], outcome) for each in held]
                async with jobs.unit() as unit:
                    gone = await ingest.write(unit, store_id, parts)
                await asyncio.sleep(0)
            ended += len(held) - len(gone)
        await asyncio.sleep(0.01)
    return ended


async def calmly(asked: Awaitable[object]) -> None:
    """What is gone already is no surprise; anything else is."""
    with contextlib.suppress(NotFoundError):
        await asked


class Crowd:
    """People, and what they do to two stores and sixteen files."""

    def __init__(self, client: AsyncOpenAI, stores: list[str], files: list[str]) -> None:
        self.client = client
        self.stores = stores
        self.files = files
        self.inside = client.vector_stores.files
        self.batches = client.vector_stores.file_batches
        self.chance = random.Random(7)

    def any_place(self) -> tuple[str, str]:
        return self.chance.choice(self.files), self.chance.choice(self.stores)

    async def add(self) -> None:
        for _ in range(ROUNDS):
            some = self.chance.sample(self.files, 8)
            await calmly(self.batches.create(self.chance.choice(self.stores), file_ids=some))

    async def describe(self) -> None:
        for number in range(ROUNDS):
            file, store = self.any_place()
            await calmly(self.inside.update(file, vector_store_id=store, attributes={"n": number}))

    async def take_out(self) -> None:
        for _ in range(ROUNDS):
            file, store = self.any_place()
            await calmly(self.inside.delete(file, vector_store_id=store))

    async def cancel(self) -> None:
        for store in self.stores * 2:
            made = await self.batches.create(store, file_ids=self.files[8:])
            await calmly(self.batches.cancel(made.id, vector_store_id=store))

    async def delete(self) -> None:
        for file in self.files[:6]:
            await calmly(self.client.files.delete(file))
            await asyncio.sleep(0.05)


async def test_nobody_waits_in_a_ring(knowing: Application, fresh: str) -> None:
    person, jobs, over = await knowing.register(fresh), jobs_of(knowing), asyncio.Event()
    query(knowing.postgres, "UPDATE vector_store_files SET status = 'failed' WHERE status = 'in_progress'")  # of others
    worker = asyncio.create_task(work(jobs, over))
    async with sdk(knowing, person) as client:
        files = [await uploaded(client, f"{number}.txt", str(number).encode()) for number in range(16)]
        stores = [(await client.vector_stores.create()).id for _ in range(2)]
        crowd = Crowd(client, stores, files)
        await asyncio.gather(
            crowd.add(), crowd.describe(), crowd.take_out(), crowd.cancel(), crowd.delete(), crowd.add()
        )
        left = "SELECT 1 FROM vector_store_files WHERE status = 'in_progress' AND vector_store_id = ANY(%s)"
        await until(lambda: query(knowing.postgres, left, stores) == [])
        over.set()
        assert await worker > 0
        chunks = "SELECT count(*), count(DISTINCT (vector_store_id, id)) FROM chunks WHERE vector_store_id = ANY(%s)"
        ((count, different),) = query(knowing.postgres, chunks, stores)
        assert count == different > 0
        for store in stores:
            await client.vector_stores.delete(store)
        assert query(knowing.postgres, chunks, stores) == [(0, 0)]
    await jobs.close()
