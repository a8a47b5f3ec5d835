"""A running stream beside people who sign in: its gaps with three logins a second against none.

The whole of Manta, one stream at a time on the starter. Passwords are checked with Argon2id (64 MiB, three passes) in a
process at nice 10; here two cores do everything.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx2

from bench.load import Client, Outcome, Server, chat_body
from bench.load import run as run_loop
from bench.options import Options
from bench.ratios import median_with_interval
from bench.report import Report, Table, interval, number
from bench.stacks import Stack, ready_manta
from bench.summary import percentile, summarize

PER_S = 3.0
PEOPLE = 12
TOKENS = 2000
PASSWORD = "a password of the bench"


@dataclass(frozen=True, slots=True)
class Leg:
    """One stream, and the logins beside it."""

    stream: Outcome
    logins_s: list[float]
    refused: int


def run(options: Options) -> Report:
    """Pairs of streams, in the order A B, B A."""
    pairs = options.pick(10, 2)
    with ready_manta() as stack:
        site = stack.server.url.removesuffix("/v1")
        people = [register(site, number_) for number_ in range(PEOPLE)]
        stream(stack, site, [])
        found = []
        for pair in range(pairs):
            legs = [stream(stack, site, people if beside else []) for beside in (pair % 2 == 0, pair % 2 == 1)]
            found.append((legs[pair % 2], legs[1 - pair % 2]))
    return reported(found)


def register(site: str, number_: int) -> str:
    """A person; their address."""
    email = f"bench-{number_}@example.com"
    answer = httpx2.post(
        f"{site}/api/auth/register", json={"email": email, "password": PASSWORD}, timeout=60, trust_env=False
    )
    answer.raise_for_status()
    return email


def stream(stack: Stack, site: str, people: list[str]) -> Leg:
    """One stream, `people` signing in beside it in turn."""
    return run_loop(_stream(stack.server, site, people))


async def _stream(server: Server, site: str, people: list[str]) -> Leg:
    logins: list[asyncio.Task[tuple[float, int]]] = []
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:

        async def knock() -> None:
            for turn in range(10_000):
                logins.append(asyncio.create_task(sign_in(http, site, people[turn % len(people)])))
                await asyncio.sleep(1 / PER_S)

        knocking = asyncio.create_task(knock()) if people else None
        client = Client(server, TOKENS)
        outcome = await client.ask(server.request(chat_body(TOKENS)))
        client.close()
        if knocking is not None:
            knocking.cancel()
        done = await asyncio.gather(*logins)
    return Leg(outcome, [took for took, _ in done], sum(status != 200 for _, status in done))


async def sign_in(http: httpx2.AsyncClient, site: str, email: str) -> tuple[float, int]:
    """Seconds that a login took, and its status."""
    start = time.perf_counter()
    body: dict[str, Any] = {"email": email, "password": PASSWORD}
    answer = await http.post(f"{site}/api/auth/login", json=body)
    return time.perf_counter() - start, answer.status_code


def reported(found: list[tuple[Leg, Leg]]) -> Report:
    """The section; pairs are (with logins, without)."""
    with_, without = ([pair[side] for pair in found] for side in (0, 1))
    p99 = [[1000 * (percentile(leg.stream.gaps_s, 99) or 0) for leg in legs] for legs in (with_, without)]
    p50 = [[1000 * (percentile(leg.stream.gaps_s, 50) or 0) for leg in legs] for legs in (with_, without)]
    took = [second for leg in with_ for second in leg.logins_s]
    refused = sum(leg.refused for leg in with_)
    errors = summarize([leg.stream for leg in (*with_, *without)], 1.0).errors
    rows = [
        ["gap p99 of the stream, ms, with / without", f"{_median(p99[0])} / {_median(p99[1])}", ""],
        ["the same, with / without", interval(_ratio(p99)), "<= 1.2"],
        ["gap p50, with / without", interval(_ratio(p50)), ""],
        ["logins", f"{len(took)}, refused {refused}", ""],
        ["a login, p50 / p95, s", f"{number(percentile(took, 50), 2)} / {number(percentile(took, 95), 2)}", ""],
    ]
    title = f"One stream of {TOKENS} tokens while {PER_S:g} people a second sign in"
    table = Table(["what", "measured", "reach"], rows)
    return Report("logins", title, [table], [], {"rows": rows}, bool(errors or refused))


def _median(values: list[float]) -> str:
    return number(sorted(values)[len(values) // 2], 2)


def _ratio(both: list[list[float]]) -> tuple[float, float, float]:
    return median_with_interval([a / b for a, b in zip(*both, strict=True)])
