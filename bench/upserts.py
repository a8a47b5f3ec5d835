"""Searches over HTTP while 500 chunks a second come into the store / while it stands still; when a new one is found.

Hybrid searches with the questions of the evaluation, without a reranker, over 50,000 chunks of real text. Chunks come
the way that ingest's do, from a process of its own, with vectors that are ready (`bench.stored`): half are new, half
replace others. A new one is found when an answer holds it; the clock starts where its transaction has ended.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from threading import Event, Thread
from typing import Any

import numpy as np
import openai
import orjson

from bench.asking import Answered, Asking, for_seconds, until_read
from bench.load import Server
from bench.options import Options
from bench.processes import Usage
from bench.ratios import median_with_interval
from bench.report import Report, Table, interval, number
from bench.stacks import EMBEDDING_MODEL, Stack, manta, open_folder
from bench.stored import Stored
from bench.upserting import Upserts, fill
from retrieval.evaluation.corpus import questions, sources
from retrieval.index.protocol import Vectors

PER_S = 500
CHUNKS = 50_000
CLIENTS = (16, 64)
LEG_S = 20
REST_S = 5.0
"""After chunks came, so that the next leg does not pay for them."""
RANKING = {"ranker": "none"}
BY_VECTOR = {"ranker": "none", "hybrid_search": {"embedding_weight": 1, "text_weight": 0}}
SHOWN = ("ingress", "search", "control", "postgres", f"replica {EMBEDDING_MODEL}")
FOUND_S = 10.0
SENTENCE = 200
"""Characters of the text that is looked for."""


@dataclass(frozen=True, slots=True)
class Leg:
    """Searches of some seconds, what the stack used, and the chunks that came meanwhile."""

    searched: Answered
    usage: Usage
    written: int


@dataclass(frozen=True, slots=True)
class Bench:
    """What every part needs."""

    stack: Stack
    store_id: str
    upserts: Upserts

    @property
    def path(self) -> str:
        """Of a search."""
        return f"/vector_stores/{self.store_id}/search"


def run(options: Options) -> Report:
    """One stack for all of it."""
    upserts = Upserts()
    with open_folder() as folder, manta(folder, embedder=True) as stack:
        stack.wait_ready()
        client = openai.OpenAI(base_url=stack.server.url, api_key=stack.server.key, max_retries=0)
        store_id = client.vector_stores.create(name="bench").id
        assert stack.data_dir is not None
        size = options.pick(CHUNKS, 2_048)
        filled_s = fill(stack.data_dir, store_id, size)
        with upserts.running(stack.data_dir, store_id, PER_S):
            bench = Bench(stack, store_id, upserts)
            until_read(Asking(stack.server), bench.path, {"query": "the first one", "ranking_options": RANKING})
            leg(bench, 1, 5.0)
            legs = {each: pairs(bench, each, options.pick(LEG_S, 4)) for each in options.clients(*CLIENTS)}
            probes = {
                "chunks come, nobody else asks": probed(bench, client, options.pick(50, 5), 0),
                "chunks come, 16 clients ask": probed(bench, client, options.pick(50, 5), 16),
            }
    return report(legs, probes, size, filled_s)


def pairs(bench: Bench, clients: int, seconds: int) -> list[tuple[Leg, Leg]]:
    """(still, while chunks come), in the order A B B A."""
    found = []
    for first_still in (True, False):
        legs = {}
        for still in (first_still, not first_still):
            with nullcontext() if still else bench.upserts.wanted():
                legs[still] = leg(bench, clients, seconds)
            time.sleep(0 if still else REST_S)
        found.append((legs[True], legs[False]))
    return found


def leg(bench: Bench, clients: int, seconds: float) -> Leg:
    """Searches without a pause."""
    bodies = [
        orjson.dumps({"query": each.question, "ranking_options": RANKING, "max_num_results": 10})
        for each in questions()
    ]
    before, meter = bench.upserts.written, bench.stack.meter()
    searched = for_seconds(
        bench.stack.server, lambda asking, turn: asking.send(bench.path, bodies[turn % len(bodies)]), clients, seconds
    )
    return Leg(searched, meter.read(), bench.upserts.written - before)


def probed(bench: Bench, client: openai.OpenAI, count: int, clients: int) -> list[float | None]:
    """Seconds from the commit of a chunk until a search by its text's vector has it; None where that never came."""
    texts = [each.text[SENTENCE : 2 * SENTENCE] for each in islice(sources(), count)]
    made = client.embeddings.create(model=EMBEDDING_MODEL, input=texts)
    vectors = np.array([each.embedding for each in made.data], np.float32)
    with bench.upserts.wanted(), asked_meanwhile(bench, clients):
        return asyncio.run(_probed(bench, texts, vectors))


def asked_meanwhile(bench: Bench, clients: int) -> AbstractContextManager[object]:
    """Other clients, as long as it lasts."""
    return Others(bench, clients) if clients else nullcontext()


class Others:
    """Clients that search all the time."""

    def __init__(self, bench: Bench, clients: int) -> None:
        self._over = Event()
        self._thread = Thread(target=self._ask, args=(bench, clients))

    def __enter__(self) -> None:
        self._thread.start()
        time.sleep(2)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self, bench: Bench, clients: int) -> None:
        while not self._over.is_set():
            leg(bench, clients, 2.0)


async def _probed(bench: Bench, texts: Sequence[str], vectors: Vectors) -> list[float | None]:
    assert bench.stack.data_dir is not None
    stored, found = Stored(bench.stack.data_dir, bench.store_id), []
    for number_, text in enumerate(texts):
        (hold,) = await stored.add_files(1)
        await stored.write([hold], [text], vectors[number_ : number_ + 1])
        committed = time.perf_counter()
        asked = (bench.stack.server, bench.path, text, hold.file_id, committed)
        found.append(await asyncio.to_thread(_found_after_s, *asked))
    await stored.close()
    return found


def _found_after_s(server: Server, path: str, text: str, file_id: str, committed: float) -> float | None:
    asking, body = Asking(server), {"query": text, "ranking_options": BY_VECTOR, "max_num_results": 10}
    try:
        while time.perf_counter() - committed < FOUND_S:
            page = asking.post(path, body)
            if any(each["file_id"] == file_id for each in page["data"]):
                return time.perf_counter() - committed
        return None
    finally:
        asking.close()


def report(
    legs: dict[int, list[tuple[Leg, Leg]]], probes: dict[str, list[float | None]], size: int, filled_s: float
) -> Report:
    """Tables, with what is to be reached."""
    searches = Table(
        ["clients", "searches/s, still", "while chunks come", "ratio", "p95 ms", "while chunks come", "chunks/s"],
        [_speed(clients, found) for clients, found in legs.items()],
    )
    cpu = Table(
        ["CPU ms", *SHOWN], [row for clients, found in legs.items() for row in _cpu(clients, found)]
    )  # fmt: skip
    visible = Table(
        ["a new chunk", "looked for", "found after p50 ms", "p95 ms", "most ms"], list(map(_row, probes.items()))
    )
    notes = [
        f"{size:,} chunks at first, written in {filled_s:.0f} s. Reach: a ratio of 0.85; found within 1 s.",
        "CPU of a chunk: what the legs with chunks used beyond their searches. The client and the process that writes "
        "run on the same cores.",
    ]
    data = {
        "legs": {clients: [[_plain(each) for each in pair] for pair in found] for clients, found in legs.items()},
        "found_after_s": probes,
    }
    refused = sum(each.searched.refused for found in legs.values() for pair in found for each in pair)
    notes.append(f"Searches that were refused or failed: {refused}.")
    failed = refused > 0 or any(each is None for found in probes.values() for each in found)
    title = f"Searches while {PER_S} chunks a second come into the store / while it stands still"
    return Report("upserts", title, [searches, cpu, visible], notes, data, failed)


def _speed(clients: int, found: list[tuple[Leg, Leg]]) -> list[str]:
    still, busy = ([each[side] for each in found] for side in (0, 1))
    return [
        str(clients),
        number(statistics.mean(each.searched.per_s for each in still)),
        number(statistics.mean(each.searched.per_s for each in busy)),
        interval(median_with_interval([b.searched.per_s / a.searched.per_s for a, b in found])),
        number(_p95_ms(still), 0),
        number(_p95_ms(busy), 0),
        number(sum(each.written for each in busy) / sum(each.usage.wall_s for each in busy), 0),
    ]


def _cpu(clients: int, found: list[tuple[Leg, Leg]]) -> list[list[str]]:
    """Of a search in a still store, and of a chunk that comes."""
    still, busy = ([each[side] for each in found] for side in (0, 1))
    asked, asked_busy = (sum(len(each.searched.times_s) for each in side) for side in (still, busy))
    written = sum(each.written for each in busy)
    of_search = {role: 1000 * sum(each.usage.of(role) for each in still) / asked for role in SHOWN}
    of_chunk = {
        role: (1000 * sum(each.usage.of(role) for each in busy) - of_search[role] * asked_busy) / max(1, written)
        for role in SHOWN
    }
    return [
        [f"{name}, {clients} clients", *(number(cost[role], 2) for role in SHOWN)]
        for name, cost in (("a search", of_search), ("a chunk", of_chunk))
    ]


def _row(named: tuple[str, list[float | None]]) -> list[str]:
    name, found = named
    seen = [1000 * each for each in found if each is not None]
    if not seen:
        return [name, str(len(found)), "-", "-", "never"]
    p95 = statistics.quantiles(seen, n=20, method="inclusive")[-1] if len(seen) > 1 else seen[0]
    most = number(max(seen), 0) if len(seen) == len(found) else "never"
    return [name, str(len(found)), number(statistics.median(seen), 0), number(p95, 0), most]


def _p95_ms(legs: list[Leg]) -> float:
    times = [each for one in legs for each in one.searched.times_s]
    return 1000 * statistics.quantiles(times, n=20, method="inclusive")[-1]


def _plain(one: Leg) -> dict[str, Any]:
    return {
        "searches": len(one.searched.times_s), "wall_s": one.searched.wall_s, "written": one.written,
        "cpu_s": dict(one.usage.cpu_s),
    }  # fmt: skip
