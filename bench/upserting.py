"""So many chunks a second into one store of a running stack, from a process of its own, while somebody wants it.

Run as: a module that `upserts` imports. Every other batch replaces chunks that were there, the rest are new ones.
"""

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from api.db.ingest_parts import Hold
from bench.stored import Stored
from bench.vectors import DIMENSIONS, unit_vectors
from retrieval.evaluation.corpus import sources
from retrieval.index.protocol import Vectors

FILE_CHUNKS, FILES = 8, 8
"""A batch has 64 chunks: what ingest hands over of small files is one group's, of 64 files."""
FILL_FILES = 32
CHARACTERS = 600
KNOWN_VECTORS = 20_000
START_S = 60.0
SPAWN = multiprocessing.get_context("spawn")


def pieces() -> list[str]:
    """Real text to write, in pieces of one length."""
    found = [
        each.text[start : start + CHARACTERS]
        for each in sources()
        for start in range(0, len(each.text) - CHARACTERS, CHARACTERS)
    ]
    return [found[place] for place in np.random.default_rng(3).permutation(len(found))]


class Supply:
    """Texts and vectors without end."""

    def __init__(self, seed: int) -> None:
        self._texts = itertools.cycle(pieces())
        self._vectors = unit_vectors(KNOWN_VECTORS, DIMENSIONS, seed)
        self._choose = np.random.default_rng(seed)

    def take(self, count: int) -> tuple[list[str], Vectors]:
        """The next ones; a vector lies beside one of those that are known, so that no two are the same."""
        near = self._vectors[self._choose.integers(0, KNOWN_VECTORS, count)]
        moved = near + 0.01 * self._choose.normal(size=near.shape)
        scaled: Vectors = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
        return list(itertools.islice(self._texts, count)), scaled


def fill(data_dir: Path, store_id: str, chunks: int) -> float:
    """Chunks at full speed; the seconds that it took."""
    supply, start = Supply(1), time.perf_counter()

    async def work() -> None:
        stored = Stored(data_dir, store_id)
        for _ in range(chunks // (FILL_FILES * FILE_CHUNKS)):
            await stored.write(await stored.add_files(FILL_FILES), *supply.take(FILL_FILES * FILE_CHUNKS))
        await stored.close()

    asyncio.run(work())
    return time.perf_counter() - start


class Upserts:
    """What the other process is told, and what it did."""

    def __init__(self) -> None:
        self._wanted, self._over = SPAWN.Event(), SPAWN.Event()
        self._written: Synchronized[int] = SPAWN.Value("q", 0)

    @property
    def written(self) -> int:
        """Chunks that are committed."""
        return int(self._written.value)

    @contextmanager
    def running(self, data_dir: Path, store_id: str, per_s: int) -> Iterator[None]:
        """The process, ready and at rest."""
        asked = (data_dir, store_id, per_s, self._wanted, self._over, self._written)
        process = SPAWN.Process(target=_write, args=asked)
        process.start()
        try:
            deadline = time.monotonic() + START_S
            with self.wanted():  # the first batch says that it is there
                while not self.written:
                    if not process.is_alive() or time.monotonic() > deadline:
                        raise RuntimeError("the process that writes did not come up")
                    time.sleep(0.05)
            yield
            if not process.is_alive():
                raise RuntimeError("the process that writes ended before its time")
        finally:
            self._over.set()
            self._wanted.set()
            process.join(START_S)
            process.kill()

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Chunks come meanwhile."""
        self._wanted.set()
        try:
            yield
        finally:
            self._wanted.clear()


def _write(data_dir: Path, store_id: str, per_s: int, wanted: Event, over: Event, written: "Synchronized[int]") -> None:
    asyncio.run(_work(Stored(data_dir, store_id), per_s, wanted, over, written))


async def _work(stored: Stored, per_s: int, wanted: Event, over: Event, written: "Synchronized[int]") -> None:
    """By the clock: who is late does not wait, until it has caught up."""
    supply, batch, known = Supply(2), FILES * FILE_CHUNKS, list[Sequence[Hold]]()
    while not over.is_set():
        await asyncio.to_thread(wanted.wait)
        begin = time.perf_counter()
        for turn in itertools.count():
            if not wanted.is_set() or over.is_set():
                break
            await asyncio.sleep(begin + turn * batch / per_s - time.perf_counter())
            if turn % 2 and known:
                holds: Sequence[Hold] = await stored.again(known.pop(0))
            else:
                holds = await stored.add_files(FILES)
            await stored.write(holds, *supply.take(batch))
            known.append(holds)
            written.value += batch
    await stored.close()
