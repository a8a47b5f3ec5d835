"""`manta profile`: where one request's time goes, from the client's side, the ingress's and the engine's."""

import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli import flame
from api.cli.chat import CHAT, Spoken, Talk, first_chat_model
from api.cli.client import Client, require
from api.cli.exposition import Page
from api.cli.installation import Installation
from api.cli.options import AsJson, Config, DataDir, Key, Url, application
from api.cli.output import console, print_json, table
from configs.errors import BadRequest

app = application()

QUESTION = "Tell me about the sea."
INGRESS = {
    "edge": "gate, key, checks",
    "lease": "wait for a replica",
    "first_byte": "from the replica to the first byte",
    "stream": "first byte to last",
    "total": "arrival to end",
}
ENGINE = {
    "vllm:request_queue_time_seconds": ("queue", "waiting for a batch"),
    "vllm:request_prefill_time_seconds": ("prefill", "reading the prompt"),
    "vllm:request_decode_time_seconds": ("decode", "writing the answer"),
    "vllm:e2e_request_latency_seconds": ("total", "arrival to end"),
}


@app.command(epilog="Example: manta profile --requests 50 --flame ingress.svg --part ingress")
def profile(
    *,
    model: Annotated[str | None, typer.Option(help="The model's name; else the first chat model that is up.")] = None,
    requests: Annotated[int, typer.Option("--requests", "-n", help="How many chats to send.", min=1)] = 20,
    tokens: Annotated[int, typer.Option(help="Tokens of each answer.", min=2)] = 64,
    flame_graph: Annotated[
        Path | None, typer.Option("--flame", help="Write a flame graph (SVG) of a part under load here.")
    ] = None,
    part: Annotated[str, typer.Option(help=f"The part to look into: {', '.join(flame.PARTS)}.")] = "ingress",
    seconds: Annotated[int, typer.Option(help="How long to look.", min=1, max=300)] = 10,
    config: Config = None,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Tell where one request's time goes: streamed chats, one after the other."""
    installation = Installation(config, data_dir)
    with require(installation, url, key) as client:
        talk = Talk(client, model or first_chat_model(client), None, {"max_tokens": tokens, "ignore_eos": True})
        if flame_graph is not None:
            if not client.is_local:
                raise BadRequest("--flame looks at processes of this machine: run it where the stack runs")
            with _load(talk):
                flame.record(installation, talk.model, part, flame_graph, seconds)
            typer.echo(f"{flame_graph}: {seconds} s of {part} under load; open it in a browser.")
            return
        found = measure(client, talk, requests)
    if as_json:
        print_json(found)
        return
    screen = console()
    screen.print(f"{talk.model}: {requests} streamed chats of {tokens} tokens, means in ms", markup=False)
    screen.print(table([_shown(row) for row in found["phases"]], ["where", "phase", "ms", "share", "what"]))
    screen.print(f"first token p50 {found['ttft_p50_ms']:.1f} ms, {found['tokens_per_s']:.1f} tokens/s")


def measure(client: Client, talk: Talk, requests: int) -> dict[str, Any]:
    """Send the chats and tell each phase's mean, in milliseconds."""
    _ask(talk)  # connections and leases are made once
    before = Page(client.text("/metrics"))
    spoken = [_ask(talk) for _ in range(requests)]
    after = Page(client.text("/metrics"))
    total_s = statistics.fmean(answer.total_s for answer in spoken)
    phases = [*_client_rows(spoken), *_ingress_rows(before, after), *_engine_rows(before, after, talk.model)]
    return {
        "model": talk.model,
        "requests": requests,
        "ttft_p50_ms": 1000 * statistics.median(answer.ttft_s for answer in spoken),
        "tokens_per_s": sum(answer.tokens for answer in spoken) / sum(answer.total_s for answer in spoken),
        "phases": [{**row, "share": row["ms"] / (1000 * total_s)} for row in phases],
    }


def _ask(talk: Talk) -> Spoken:
    talk.clear()
    for _ in talk.ask(QUESTION):
        pass
    return talk.last


@contextmanager
def _load(talk: Talk) -> Iterator[None]:
    """Chats, one after the other, while the block runs."""
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            _ask(talk)

    _ask(talk)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _client_rows(spoken: list[Spoken]) -> list[dict[str, Any]]:
    first = statistics.fmean(answer.ttft_s for answer in spoken)
    whole = statistics.fmean(answer.total_s for answer in spoken)
    return [
        _row("client", "first token", first, "request sent to first text"),
        _row("client", "total", whole, "request sent to end"),
    ]


def _ingress_rows(before: Page, after: Page) -> Iterator[dict[str, Any]]:
    for phase, what in INGRESS.items():
        name, labels = "manta_phase_seconds", {"phase": phase, "route": CHAT}
        taken = after.histogram(name, **labels) - before.histogram(name, **labels)
        if taken.count:
            yield _row("ingress", phase, taken.mean_s(), what)


def _engine_rows(before: Page, after: Page, model: str) -> Iterator[dict[str, Any]]:
    for name, (phase, what) in ENGINE.items():
        taken = after.histogram(name, model=model) - before.histogram(name, model=model)
        if taken.count:
            yield _row("engine", phase, taken.mean_s(), what)


def _row(where: str, phase: str, seconds: float, what: str) -> dict[str, Any]:
    return {"where": where, "phase": phase, "ms": 1000 * seconds, "what": what}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "ms": f"{row['ms']:9.2f}", "share": f"{100 * row['share']:5.1f} %"}
