"""What key check, policy and usage rows cost: the ingress with them against the same one without.

Two ingresses, each with a database and a scripted engine of its own (`bench.mock_ingress`, the second with `open`), are
asked in turn as fast as they go. Answers of one token are nearly all door; those of 64 tokens are what a short chat is.
"""

from bench.mock import Leg, Route, leg, route
from bench.options import Options
from bench.ratios import median_with_interval
from bench.report import Report, Table, interval, kinds, number

OPEN_PORTS = (8213, 8214)


def run(options: Options) -> Report:
    """Pairs in the order A B, B A."""
    pairs = options.pick(8, 2)
    rows, errors = [], dict[str, int]()
    with route(0.0) as guarded, route(0.0, "open", ports=OPEN_PORTS) as free:
        for clients in options.clients(16, 64):
            for tokens in (1, 64):
                requests = options.pick(3000, 300) if tokens == 1 else options.pick(640, 128)
                found = measured(guarded, free, pairs, clients, requests, tokens)
                rows.append([str(clients), str(tokens), *cells(found)])
                for both in found:
                    for each in both:
                        errors |= each.summary.errors
    headers = ["c", "tokens", "answers/s", "with / without", "CPU of the ingress, with / without", "us more"]
    notes = [
        f"Errors: {kinds(errors)}. Reach: with / without at least 0.97 in throughput.",
        "A chat is a usage row; the audit log has what concerns security, which no chat does (docs/audit.md).",
    ]
    title = "Key check, policy and usage rows, with / without"
    return Report("door", title, [Table(headers, rows)], notes, {"rows": rows}, bool(errors))


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
