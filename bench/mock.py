"""The path from engine to client without an engine: CPU of the ingress per chunk and per request, and its ceiling.

At an engine's pace (a step every 20 ms), answers of 1 and of 256 tokens separate what a request costs from what a chunk
costs. Then, as fast as it goes, the slowest of client, ingress and script sets the rate.
"""

import asyncio
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from api.db import schema
from api.keys import key_of
from api.launcher.seed import seed
from bench.load import Server, chat_body, closed_loop
from bench.load import run as run_loop
from bench.mock_engine import SECRET
from bench.options import Options
from bench.processes import cpu_s
from bench.report import Report, Table, kinds, number
from bench.stacks import environment, open_folder
from bench.summary import Summary, summarize
from configs.cluster import Cluster
from configs.datadir import Layout
from configs.postgres import EmbeddedPostgres
from configs.processes import Child, spawn, wait_until
from configs.specs import Configuration, GeneralSettings, ModelParams, ModelSpec

PORT, ENGINE_PORT = 8211, 8212
MODEL = "mock"
LONG = 256
STEP_MS = 20.0
START_S = 30.0


@dataclass(frozen=True, slots=True)
class Route:
    """Client to ingress to scripted engine."""

    server: Server
    ingress: Child
    engine: Child
    app_url: str


@dataclass(frozen=True, slots=True)
class Leg:
    """One run over the path."""

    summary: Summary
    ingress_s: float
    engine_s: float
    client_s: float

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        return self.summary.as_json() | {"cpu_s": [self.ingress_s, self.engine_s, self.client_s]}


def run(options: Options) -> Report:
    """Measure with every number of clients."""
    rows, data, errors = [], {}, dict[str, int]()
    for clients in options.clients(1, 16, 64, 200, 500):
        with route(STEP_MS) as paced:
            leg(paced, clients, clients, 8)
            short = leg(paced, clients, max(200, clients * options.pick(10, 3)), 1)
            long = leg(paced, clients, clients * options.pick(4, 1), LONG)
        with route(0.0) as free:
            leg(free, clients, clients, 8)
            fast = leg(free, clients, max(20, clients * options.pick(8, 2)), LONG)
        per_request, per_chunk = costs(short, long)
        rows.append([str(clients), *cells(per_request, per_chunk, long, fast)])
        data[f"c={clients}"] = {"short": short.as_json(), "long": long.as_json(), "fast": fast.as_json()}
        for each in (short, long, fast):
            errors |= each.summary.errors
    headers = ["c", "us per request", "us per chunk", "gap p99 ms", "max chunks/s", "us per chunk at max"]
    headers += ["CPU shares ingress / script / client"]
    notes = [
        f"Errors: {kinds(errors)}. A step every {STEP_MS:g} ms; {LONG} tokens an answer, and 1 for the other leg.",
        "Key check, usage rows and metrics are on; leases are not taken (see `bench/mock_ingress.py`).",
    ]
    return Report("mock", "Path cost with a scripted engine", [Table(headers, rows)], notes, data)


def costs(short: Leg, long: Leg) -> tuple[float, float]:
    """Ingress CPU in us per request and per chunk: two equations, one per leg."""
    ((a, b, c), (d, e, f)) = (
        (each.summary.answers, each.summary.tokens, 1e6 * each.ingress_s) for each in (short, long)
    )
    determinant = a * e - b * d
    return (c * e - b * f) / determinant, (a * f - c * d) / determinant


def cells(per_request: float, per_chunk: float, long: Leg, fast: Leg) -> list[str]:
    """One row's figures."""
    wall_s = fast.summary.wall_s
    return [
        number(per_request, 0),
        number(per_chunk),
        number(long.summary.gap_p99_ms),
        number(fast.summary.tokens_per_s, 0),
        number(1e6 * fast.ingress_s / fast.summary.tokens),
        " / ".join(f"{used / wall_s:.2f}" for used in (fast.ingress_s, fast.engine_s, fast.client_s)),
    ]


def leg(path: Route, clients: int, requests: int, tokens: int, keys: Sequence[str] = ()) -> Leg:
    """Ask `requests` times, with `keys` in turn if there are some."""
    servers = [replace(path.server, key=key) for key in keys] or [path.server]
    bodies = [servers[number_ % len(servers)].request(chat_body(tokens)) for number_ in range(requests)]
    before, client, start = [cpu_s(each.pid) for each in (path.ingress, path.engine)], time.process_time(), now()
    outcomes = run_loop(closed_loop(path.server, bodies, clients, tokens))
    wall_s = now() - start
    ingress_s, engine_s = (cpu_s(each.pid) - was for each, was in zip((path.ingress, path.engine), before, strict=True))
    return Leg(summarize(outcomes, wall_s), ingress_s, engine_s, time.process_time() - client)


def now() -> float:
    """Seconds on the clock of the clients."""
    return time.perf_counter()


@contextmanager
def route(step_ms: float, *flags: str, ports: tuple[int, int] = (PORT, ENGINE_PORT)) -> Iterator[Route]:
    """PostgreSQL, the scripted engine and the ingress, each a process of its own; `flags` are the ingress's."""
    with open_folder() as folder:
        layout = Layout(folder / "data")
        with layout.hold(command="bench mock"), EmbeddedPostgres(layout) as postgres:
            postgres.wait_ready()
            spec = ModelSpec(model_name=MODEL, params=ModelParams(model="vllm/starter"))
            secret = secrets.token_urlsafe(32)
            schema.upgrade(postgres.urls.owner_url)
            asyncio.run(seed(postgres.urls.app_url, [spec], key_of(secret), layout.secrets))
            cluster = write_cluster(layout, postgres, spec, ports[0])
            with processes(folder, layout, cluster, step_ms, ports, flags) as (engine, ingress):
                server = Server(f"http://127.0.0.1:{ports[0]}/v1", MODEL, key_of(secret))
                yield Route(server, ingress, engine, postgres.urls.app_url)


def write_cluster(layout: Layout, postgres: EmbeddedPostgres, spec: ModelSpec, port: int) -> Cluster:
    """What the ingress reads. There is no Valkey: nothing on a stream's way asks it."""
    cluster = Cluster(
        data_dir=layout.data_dir,
        database_url=SecretStr(postgres.urls.app_url),
        redis_url=SecretStr("redis://127.0.0.1:1/0"),
        link_secret=SecretStr(layout.secret("link")),
        configuration=Configuration(model_list=(spec,), general_settings=GeneralSettings(port=port)),
    )
    cluster.write(layout.cluster)
    return cluster


@contextmanager
def processes(
    folder: Path, layout: Layout, cluster: Cluster, step_ms: float, ports: tuple[int, int], flags: tuple[str, ...]
) -> Iterator[tuple[Child, Child]]:
    """Engine and ingress, ended in the other order."""
    port, engine_port = ports
    env = environment() | {SECRET: cluster.link_secret.get_secret_value(), "PYTHONPATH": str(Path(__file__).parents[1])}
    python = [sys.executable, "-m"]
    engine_argv = [*python, "bench.mock_engine", str(engine_port), str(step_ms)]
    ingress_argv = [*python, "bench.mock_ingress", str(layout.cluster), str(engine_port), *flags]
    engine = spawn("scripted engine", engine_argv, cwd=folder, env=env, stdout=folder / "engine.log")
    try:
        ingress = spawn("ingress", ingress_argv, cwd=folder, env=env, stdout=folder / "ingress.log")
        try:
            wait_until(lambda: listens(port) and listens(engine_port), ingress, START_S)
            yield engine, ingress
        finally:
            ingress.terminate(5.0)
    finally:
        engine.terminate(5.0)


def listens(port: int) -> bool:
    """Whether a local port takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True
