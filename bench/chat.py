"""Streamed chat through all of Manta against plain vLLM with the same engine arguments, both up, A B B A.

Key check, usage and limits are on. While one is measured, the other must be idle; how idle it was is reported. CPU is
given per token, which is one event of a stream that is not coalesced.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.load import chat_body, closed_loop
from bench.load import run as run_loop
from bench.options import Options
from bench.processes import ENGINE, HELPER, INGRESS, REPLICA, VLLM_SERVER, WORKER, Usage
from bench.ratios import median_with_interval
from bench.report import Report, Table, interval, kinds, number
from bench.stacks import MODEL, Stack, both
from bench.summary import Summary, summarize

TOKENS = 128
SETTLE_S = 1.5
"""vLLM's worker polls for a second after its last answer, and would take a core from the next leg."""
FRONT = REPLICA + MODEL
ENGINE_ROLES = (FRONT, ENGINE, WORKER, HELPER)

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather of a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tools": {"tools": [WEATHER], "tool_choice": "auto"},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
}


@dataclass(frozen=True, slots=True)
class Leg:
    """One side measured once: what its clients saw, what its processes used, and what the idle side used meanwhile."""

    summary: Summary
    usage: Usage
    idle_cores: float

    def us_per_token(self, *roles: str) -> float:
        """CPU of some roles; of all when none is named."""
        used = self.usage.of(*roles) if roles else self.usage.total_s
        return 1e6 * used / self.summary.tokens

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        us_per_token = {name: self.us_per_token(name) for name in self.usage.cpu_s}
        return self.summary.as_json() | {"us_per_token": us_per_token, "idle_cores": self.idle_cores}


@dataclass(frozen=True, slots=True)
class Pair:
    """A leg of plain vLLM and one of Manta, next to each other in time."""

    plain: Leg
    manta: Leg

    def ratio(self, of: Callable[[Leg], float | None]) -> float:
        """Manta's figure over plain vLLM's."""
        ours, theirs = of(self.manta), of(self.plain)
        return ours / theirs if ours is not None and theirs else float("nan")

    def cpu_ratio(self, *roles: str) -> float:
        """Manta's CPU per token in `roles` over that of vLLM's HTTP server process."""
        return self.manta.us_per_token(*roles) / self.plain.us_per_token(VLLM_SERVER)

    def outside_ratio(self) -> float:
        """The same for all of Manta outside the engine replica."""
        outside = self.manta.us_per_token() - self.manta.us_per_token(*ENGINE_ROLES)
        return outside / self.plain.us_per_token(VLLM_SERVER)


def run(options: Options) -> Report:
    """Measure every variant with every number of clients."""
    found: dict[tuple[str, int], list[Pair]] = {}
    with both() as (theirs, ours):
        for stack in (theirs, ours):
            leg(stack, theirs, 4, 16, {})
        for variant, extra in VARIANTS.items():
            for clients in options.clients(*((16, 64) if extra else (1, 16, 64))):
                found[variant, clients] = list(pairs(theirs, ours, clients, options, extra))
    return report(found)


def pairs(theirs: Stack, ours: Stack, clients: int, options: Options, extra: dict[str, Any]) -> Iterator[Pair]:
    """Pairs in the order A B, B A, A B, ..."""
    requests = max(options.pick(12, 6), clients * 2)
    for number_of_pair in range(options.pick(4, 2)):
        if number_of_pair % 2:
            second = leg(ours, theirs, clients, requests, extra)
            yield Pair(leg(theirs, ours, clients, requests, extra), second)
        else:
            first = leg(theirs, ours, clients, requests, extra)
            yield Pair(first, leg(ours, theirs, clients, requests, extra))


def leg(stack: Stack, idle: Stack, clients: int, requests: int, extra: dict[str, Any]) -> Leg:
    """Measure one side once."""
    bodies = [stack.server.request(chat_body(TOKENS, extra)) for _ in range(requests)]
    time.sleep(SETTLE_S)
    busy_meter, idle_meter, start = stack.meter(), idle.meter(), time.perf_counter()
    outcomes = run_loop(closed_loop(stack.server, bodies, clients, TOKENS))
    wall_s = time.perf_counter() - start
    used, other = busy_meter.read(), idle_meter.read()
    return Leg(summarize(outcomes, wall_s), used, other.total_s / other.wall_s)


def report(found: dict[tuple[str, int], list[Pair]]) -> Report:
    """Tables of ratios and of the figures behind them."""
    ratios = [[variant, str(clients), *ratio_cells(pairs)] for (variant, clients), pairs in found.items()]
    figures = [
        [variant, str(clients), side, *figure_cells([getattr(pair, side) for pair in pairs])]
        for (variant, clients), pairs in found.items()
        for side in ("plain", "manta")
    ]
    legs = [leg for pairs in found.values() for pair in pairs for leg in (pair.plain, pair.manta)]
    notes = [
        "Reach: tok/s >= 1.00 plain and >= 0.97 with tools or log-probabilities; TTFT <= 1.5 at c = 1 and <= 1.25 at "
        "c = 64; CPU of the ingress <= 0.30 and outside the engine <= 0.45.",
        "Without a GPU Manta's model runs in its engine core's process (ADR 7), plain vLLM's beside it: that is in "
        "the ratios of speed and of TTFT, and not in those of CPU. `mock` measures the path alone.",
        "Ratios are Manta / plain vLLM; CPU ratios are Manta's processes / vLLM's HTTP server process, per token.",
        f"The side that was not measured used at most {max(leg.idle_cores for leg in legs):.2f} cores meanwhile.",
        f"Errors: {kinds(errors_of(legs))} in {sum(leg.summary.answers for leg in legs)} answers.",
    ]
    data = {
        f"{variant} c={clients}": [{"plain": pair.plain.as_json(), "manta": pair.manta.as_json()} for pair in pairs]
        for (variant, clients), pairs in found.items()
    }
    return Report(
        "chat",
        "Streamed chat: Manta / plain vLLM",
        [
            Table(
                ["stream", "c", "tok/s", "TTFT p50", "gap p99", "CPU ingress", "CPU outside engine", "CPU front end"],
                ratios,
            ),
            Table(
                [
                    "stream",
                    "c",
                    "side",
                    "tok/s",
                    "TTFT p50 ms",
                    "p99",
                    "gap p50 ms",
                    "p99",
                    "events",
                    "us CPU per token",
                ],
                figures,
            ),
        ],
        notes,
        data,
    )


def ratio_cells(pairs: list[Pair]) -> list[str]:
    """Medians over the pairs."""
    lists = [
        [pair.ratio(lambda leg: leg.summary.tokens_per_s) for pair in pairs],
        [pair.ratio(lambda leg: leg.summary.ttft_p50_ms) for pair in pairs],
        [pair.ratio(lambda leg: leg.summary.gap_p99_ms) for pair in pairs],
        [pair.cpu_ratio(INGRESS) for pair in pairs],
        [pair.outside_ratio() for pair in pairs],
        [pair.cpu_ratio(FRONT) for pair in pairs],
    ]
    return [interval(median_with_interval(values)) for values in lists]


def figure_cells(legs: list[Leg]) -> list[str]:
    """Medians over the legs of one side."""

    def middle(of: Callable[[Leg], float | None]) -> float | None:
        values = sorted(value for leg in legs if (value := of(leg)) is not None)
        return values[len(values) // 2] if values else None

    names = sorted({name for leg in legs for name in leg.usage.cpu_s})
    parts = {name: middle(lambda leg, name=name: leg.us_per_token(name)) or 0.0 for name in names}  # type: ignore[misc]
    largest = sorted(parts.items(), key=lambda part: -part[1])[:6]
    return [
        number(middle(lambda leg: leg.summary.tokens_per_s), 0),
        number(middle(lambda leg: leg.summary.ttft_p50_ms)),
        number(middle(lambda leg: leg.summary.ttft_p99_ms)),
        number(middle(lambda leg: leg.summary.gap_p50_ms)),
        number(middle(lambda leg: leg.summary.gap_p99_ms)),
        number(middle(lambda leg: leg.summary.events), 0),
        ", ".join(f"{name} {used:.0f}" for name, used in largest if used >= 1),
    ]


def errors_of(legs: list[Leg]) -> dict[str, int]:
    """All errors by kind."""
    found: dict[str, int] = {}
    for leg in legs:
        for kind, count in leg.summary.errors.items():
            found[kind] = found.get(kind, 0) + count
    return found
