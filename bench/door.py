"""What key check, policy and usage rows cost: the ingress with them against one without; and what many keys cost.

Two ingresses, each with a database and a scripted engine of its own (`bench.mock_ingress`, the second with `open`), are
asked in turn: at an engine's pace (a step every 20 ms, answers of 64 tokens), and as fast as they go (answers of one
token are nearly all door). Then the guarded one is asked with 10 keys and with 10,000 in turn.
"""

import asyncio

from api.db.session import Database
from bench.identity import FEW, MANY, make_keys
from bench.mock import STEP_MS, Leg, Route, leg, route
from bench.options import Options
from bench.ratios import median_with_interval
from bench.report import Report, Table, interval, kinds, number

OPEN_PORTS = (8213, 8214)
SHORT = 400
"""Requests of a leg, 0.2 s: ten thousand keys are met within 25 of them."""
PACES = {"a step every 20 ms": (STEP_MS, 64), "as fast as it goes, long": (0.0, 64), "as fast as it goes": (0.0, 1)}


def run(options: Options) -> Report:
    """Pairs in the order A B, B A."""
    pairs = options.pick(8, 2)
    rows, errors, count = [], dict[str, int](), options.pick(MANY, 200)
    for pace, (step_ms, tokens) in PACES.items():
        with route(step_ms) as guarded, route(step_ms, "open", ports=OPEN_PORTS) as free:
            for clients in options.clients(16, 64):
                requests = options.pick(640, 128) if tokens > 1 else options.pick(3000, 300)
                found = measured(guarded, free, pairs, clients, requests, tokens)
                rows.append([pace, str(clients), str(tokens), *cells(found)])
                _count(errors, found)
    with route(0.0) as full, route(0.0, ports=OPEN_PORTS) as calm:
        found = many_keys(full, calm, options.pick(200, 2), count)
        key_rows = [[f"{count:,} / {FEW}", *cells(found)]]
        _count(errors, found)
    headers = ["answers/s", "with / without", "CPU of the ingress, with / without", "us more"]
    notes = [
        f"Errors: {kinds(errors)}. Reach: at least 0.97 of the throughput at an engine's pace, and with many keys.",
        "A chat is a usage row; the audit log has what concerns security, which no chat does (docs/audit.md).",
    ]
    tables = [
        Table(["pace", "c", "tokens", *headers], rows),
        Table(["keys, c = 64", "answers/s", "many / few", "CPU of the ingress, many / few", "us more"], key_rows),
    ]
    title = "Key check, policy and usage rows, with / without"
    return Report("door", title, tables, notes, {"rows": rows, "keys": key_rows}, bool(errors))


def many_keys(full: Route, calm: Route, pairs: int, count: int) -> list[tuple[Leg, Leg]]:
    """Legs (`full` with many keys, `calm` with few), known before and kept known: short ones, against the drift."""
    many, few = asyncio.run(_made(full, count)), asyncio.run(_made(calm, FEW))
    leg(full, 64, count, 1, many)
    leg(calm, 64, count, 1, few)
    found = []
    for pair in range(pairs):
        sides = ((full, _turned(many, SHORT * pair)), (calm, few))
        legs = [leg(path, 64, SHORT, 1, keys) for path, keys in (sides if pair % 2 == 0 else sides[::-1])]
        found.append((legs[pair % 2], legs[1 - pair % 2]))
    return found


async def _made(path: Route, count: int) -> list[str]:
    database = Database(path.app_url)
    keys = [each.key for each in await make_keys(database, count)]
    await database.close()
    return keys


def _turned(keys: list[str], by: int) -> list[str]:
    """The same keys from another one on: a leg is shorter than the list."""
    start = by % len(keys)
    return keys[start:] + keys[:start]


def _count(errors: dict[str, int], found: list[tuple[Leg, Leg]]) -> None:
    for both in found:
        for each in both:
            errors |= each.summary.errors


def measured(
    guarded: Route, free: Route, pairs: int, clients: int, requests: int, tokens: int
) -> list[tuple[Leg, Leg]]:
    """Legs (with, without), after one of each to warm up."""
    leg(guarded, clients, requests // 4, tokens)
    leg(free, clients, requests // 4, tokens)
    found = []
    for pair in range(pairs):
        if pair % 2:
            second = leg(free, clients, requests, tokens)
            found.append((leg(guarded, clients, requests, tokens), second))
        else:
            first = leg(guarded, clients, requests, tokens)
            found.append((first, leg(free, clients, requests, tokens)))
    return found


def cells(found: list[tuple[Leg, Leg]]) -> list[str]:
    """One row's figures."""
    rates = [(a.summary.answers / a.summary.wall_s, b.summary.answers / b.summary.wall_s) for a, b in found]
    more_us = sorted(1e6 * (a.ingress_s - b.ingress_s) / a.summary.answers for a, b in found)
    return [
        number(sorted(rate for rate, _ in rates)[len(rates) // 2], 0),
        interval(median_with_interval([with_ / without for with_, without in rates])),
        interval(median_with_interval([a.ingress_s / b.ingress_s for a, b in found])),
        number(more_us[len(more_us) // 2], 0),
    ]
