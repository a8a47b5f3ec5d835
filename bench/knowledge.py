"""Vector stores over HTTP on a running stack: what a search takes and uses, and chat beside ingest at full speed.

Documents are the descriptions of installed packages. "Nothing found" is the same route on an empty store: what is left
when there is nothing to compare and nothing to read. FAISS alone searches the store's own vectors in a flat index. What
one client asks is asked in an order and then in the opposite one. The searches' client is plain HTTP (`bench.asking`),
chat's the SDK: one short streamed answer after the other.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import openai
import orjson

from bench.asking import Asking, in_turn
from bench.bare import bare_ms
from bench.options import Options
from bench.processes import Usage
from bench.report import Report, Table, number
from bench.stacks import EMBEDDING_MODEL, MODEL, Stack, manta, open_folder
from bench.streams500 import ask
from retrieval.evaluation.corpus import questions, sources
from retrieval.index.protocol import Vectors

INGEST_S = 600.0
CLIENTS = 16
WORDS_ONLY = {"ranker": "none", "hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
HYBRID = {"ranker": "none"}
SHOWN = ("ingress", "search", "control", "postgres", "replica all-MiniLM-L6-v2", "serve controller", "raylet", "gcs")
TOKENS = 16
WARM = 5


@dataclass(frozen=True, slots=True)
class Searches:
    """Some searches: seconds of each, and what the stack used meanwhile."""

    times_s: list[float]
    usage: Usage

    @property
    def p50_ms(self) -> float:
        """In milliseconds."""
        return 1000 * statistics.median(self.times_s)

    def cpu_ms(self, role: str) -> float:
        """Of one search."""
        return 1000 * self.usage.of(role) / len(self.times_s)

    def and_then(self, other: "Searches") -> "Searches":
        """Both."""
        roles = self.usage.cpu_s.keys() | other.usage.cpu_s.keys()
        cpu_s = {role: self.usage.of(role) + other.usage.of(role) for role in roles}
        return Searches(self.times_s + other.times_s, Usage(cpu_s, self.usage.wall_s + other.usage.wall_s))


def run(options: Options) -> Report:
    """One stack for all of it."""
    documents, turns = options.pick(300, 12), options.pick(200, 20)
    with open_folder() as folder, manta(folder, embedder=True) as stack:
        stack.wait_ready()
        ask(stack, 16)
        client = openai.OpenAI(base_url=stack.server.url, api_key=stack.server.key, max_retries=0)
        texts = [source.text.encode() for source in islice(sources(), documents)]
        store, ingest_s = filled(client, texts)
        empty = client.vector_stores.create(name="empty").id
        searched = one_client(stack, store, empty, turns // 2) | {
            f"words, {CLIENTS} clients": searches(stack, store, WORDS_ONLY, CLIENTS, turns * 4),
            f"hybrid, {CLIENTS} clients": searches(stack, store, HYBRID, CLIENTS, turns * 4),
        }
        assert stack.data_dir is not None
        bare = bare_ms(stack.data_dir, store, questions_of(client))
        chat = beside_ingest(client, texts, options.pick(120, 8))
    first = client_row("chat alone", chat["alone"]), client_row("chat beside ingest", chat["beside"])
    ratio = _p95(chat["beside"]) / _p95(chat["alone"])
    notes = [
        f"{documents} documents were read, cut and embedded in {ingest_s:.0f} s.",
        *(beside_nothing(searched, kind, bare) for kind in ("words", "hybrid")),
        f"p95 to the first token beside ingest over alone: {ratio:.2f}.",
    ]
    tables = [
        Table(["search", "p50 ms", *(f"{role} CPU ms" for role in SHOWN)], [_row(*each) for each in searched.items()]),
        Table(["", "answers", "first token p50 ms", "p95 ms"], list(first)),
    ]
    data = {name: {"times_s": each.times_s, "cpu_s": each.usage.cpu_s} for name, each in searched.items()}
    more = {"chat_s": chat, "ingest_s": ingest_s, "bare_ms": bare}
    return Report("knowledge", "Vector stores over HTTP", tables, notes, data | more)


def one_client(stack: Stack, store: str, empty: str, turns: int) -> dict[str, Searches]:
    """Each kind of search in the store and in the empty one, in the order A B B A."""
    asked = {
        f"{kind}, one client": (place, ranking)
        for kind, place, ranking in (
            ("words", store, WORDS_ONLY),
            ("words, nothing found", empty, WORDS_ONLY),
            ("hybrid", store, HYBRID),
            ("hybrid, nothing found", empty, HYBRID),
        )
    }
    first = {name: searches(stack, *each, 1, turns) for name, each in asked.items()}
    second = {name: searches(stack, *asked[name], 1, turns) for name in reversed(asked)}
    return {name: first[name].and_then(second[name]) for name in asked}


def beside_nothing(searched: dict[str, Searches], kind: str, bare: tuple[float, int]) -> str:
    """The row of what is to be reached: p50 of a search <= FAISS alone + 1.3 of nothing found."""
    p50_ms, nothing_ms = (searched[f"{kind}{more}, one client"].p50_ms for more in ("", ", nothing found"))
    vectors_ms = bare[0] if kind == "hybrid" else 0.0
    reach_ms = vectors_ms + 1.3 * nothing_ms
    alone = f"FAISS alone {vectors_ms:.2f} ms for {bare[1]:,} vectors, " if kind == "hybrid" else ""
    return (
        f"p50 by {kind}, one client: {p50_ms:.1f} ms; {alone}nothing found {nothing_ms:.1f} ms. "
        f"To reach: {reach_ms:.1f} ms; over that of nothing found: {p50_ms / nothing_ms:.2f}."
    )


def questions_of(client: openai.OpenAI) -> Vectors:
    """Vectors of the questions that are asked."""
    made = client.embeddings.create(model=EMBEDDING_MODEL, input=[each.question for each in questions()])
    return np.array([each.embedding for each in made.data], np.float32)


def filled(client: openai.OpenAI, texts: list[bytes]) -> tuple[str, float]:
    """A store with a file of each text, and how long that took without the uploads."""
    store = client.vector_stores.create(name="bench").id
    files = uploaded(client, texts)
    start = time.perf_counter()
    client.vector_stores.file_batches.create(store, file_ids=files)
    until_done(client, store)
    return store, time.perf_counter() - start


def uploaded(client: openai.OpenAI, texts: list[bytes]) -> list[str]:
    return [
        client.files.create(file=(f"{number}.md", text), purpose="assistants").id for number, text in enumerate(texts)
    ]


def until_done(client: openai.OpenAI, store: str) -> None:
    """Block until nothing waits.

    Raises:
        RuntimeError: it takes too long.
    """
    deadline = time.monotonic() + INGEST_S
    while client.vector_stores.retrieve(store).file_counts.in_progress:
        if time.monotonic() > deadline:
            raise RuntimeError("the documents were not read in time")
        time.sleep(0.5)


def searches(stack: Stack, store: str, ranking: dict[str, Any], clients: int, turns: int) -> Searches:
    """Questions of the evaluation set, one after the other in each client."""
    path = f"/vector_stores/{store}/search"
    bodies = [orjson.dumps({"query": each.question, "ranking_options": ranking}) for each in questions()]

    def search(asking: Asking, turn: int) -> None:
        asking.send(path, bodies[turn % len(bodies)])

    in_turn(stack.server, search, 1, range(WARM))
    meter = stack.meter()
    found = in_turn(stack.server, search, clients, range(turns))
    return Searches(found.times_s, meter.read())


def beside_ingest(client: openai.OpenAI, texts: list[bytes], answers: int) -> dict[str, list[float]]:
    """Seconds to the first token of answers alone and beside ingest, in the order A B B A."""
    found: dict[str, list[float]] = {"alone": [], "beside": []}
    for leg in ("alone", "beside", "beside", "alone"):
        with ingesting(client, texts) if leg == "beside" else nothing():
            found[leg] += [first_token_s(client) for _ in range(answers)]
    return found


@contextmanager
def nothing() -> Iterator[None]:
    """Alone."""
    time.sleep(5)
    yield


@contextmanager
def ingesting(client: openai.OpenAI, texts: list[bytes]) -> Iterator[None]:
    """Stores are filled one after the other, as long as it lasts."""
    files, over, stores = uploaded(client, texts), threading.Event(), list[str]()

    def fill() -> None:
        while not over.is_set():
            store = client.vector_stores.create(name="beside").id
            stores.append(store)
            client.vector_stores.file_batches.create(store, file_ids=files)
            while not over.is_set() and client.vector_stores.retrieve(store).file_counts.in_progress:
                over.wait(1)

    worker = threading.Thread(target=fill)
    worker.start()
    time.sleep(20)  # the model is loaded and the first documents are embedded
    try:
        yield
    finally:
        over.set()
        worker.join()
        _all(client.vector_stores.delete, stores)
        _all(client.files.delete, files)


def first_token_s(client: openai.OpenAI) -> float:
    """Of one short answer, which is read to its end."""
    start, first = time.perf_counter(), 0.0
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hello"}], max_tokens=TOKENS, stream=True
    )
    for event in stream:
        if not first and event.choices and event.choices[0].delta.content:
            first = time.perf_counter() - start
    return first


def client_row(name: str, times_s: list[float]) -> list[str]:
    """One line of the second table."""
    return [name, str(len(times_s)), number(1000 * statistics.median(times_s)), number(1000 * _p95(times_s))]


def _row(name: str, found: Searches) -> list[str]:
    return [name, number(found.p50_ms), *(number(found.cpu_ms(role), 2) for role in SHOWN)]


def _p95(times_s: list[float]) -> float:
    return statistics.quantiles(times_s, n=20, method="inclusive")[-1]


def _all(work: Callable[[str], object], ids: list[str]) -> None:
    for each in ids:
        work(each)
