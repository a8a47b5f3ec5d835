"""Clients that close their connection in the middle of a stream: how soon the engine works for nobody (deep).

Gauges are read from the front door's `/metrics`, as an operator would.
"""

import asyncio
import re
import time
from contextlib import suppress
from typing import Any

from bench.load import Server, chat_body
from bench.load import run as run_loop
from bench.options import Options
from bench.report import Report, Table, number
from bench.stacks import Stack, ready_manta
from bench.streams500 import ask

GAUGES = re.compile(rb"^vllm:num_requests_(running|waiting)(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)
TOKENS = 3000
EVENTS_BEFORE = 3
LIMIT_S = 60.0
REACH_S = {100: 1.0, 1000: 5.0}


def run(options: Options) -> Report:
    """100, then 1,000 clients; a client leaves when three events arrived or the others did."""
    rows: list[list[str]] = []
    data: dict[str, Any] = {}
    with ready_manta() as stack:
        ask(stack, 16)
        for clients in options.clients(100, *(() if options.short else (1000,))):
            before, seconds = vanish(stack, clients)
            after = ask(stack, 16)
            healthy = "yes" if not after.errors else "no"
            rows.append([str(clients), str(before), number(seconds, 2), number(REACH_S.get(clients), 0), healthy])
            data[str(clients)] = {"running_or_waiting": before, "seconds": seconds, "after": after.as_json()}
    headers = ["clients", "running + waiting before", "s until both are 0", "reach", "serves on"]
    failed = any(each["seconds"] is None or each["after"]["errors"] for each in data.values())
    notes = ["The seconds include reading `/metrics` once more after the gauges fell."]
    return Report("vanish", "Clients that vanish in mid-stream", [Table(headers, rows)], notes, data, failed)


def vanish(stack: Stack, clients: int) -> tuple[int, float | None]:
    """Requests in the engine before the clients left, and seconds until there were none."""
    requests = [stack.server.request(chat_body(TOKENS)) for _ in range(clients)]
    return run_loop(_vanish(stack, stack.server, requests))


async def _vanish(stack: Stack, server: Server, requests: list[bytes]) -> tuple[int, float | None]:
    connections = await asyncio.gather(*(server.connect() for _ in requests))
    asking = [asyncio.create_task(each.ask(request)) for each, request in zip(connections, requests, strict=True)]
    deadline = time.perf_counter() + LIMIT_S
    while sum(each.events >= EVENTS_BEFORE for each in connections) < min(100, len(connections)):
        if time.perf_counter() > deadline:
            break
        await asyncio.sleep(0.02)
    before = await asyncio.to_thread(in_engine, stack)
    for each in connections:
        each.close()
    left = time.perf_counter()
    for task in asking:
        with suppress(ConnectionResetError):
            await task
    while time.perf_counter() - left < LIMIT_S:
        if await asyncio.to_thread(in_engine, stack) == 0:
            return before or 0, time.perf_counter() - left
    return before or 0, None


def in_engine(stack: Stack) -> int | None:
    """Requests that run or wait, by the gauges; None when the page did not come."""
    page = stack.get("/metrics")
    values = [float(value) for _, value in GAUGES.findall(page or b"")]
    return int(sum(values)) if values else None
