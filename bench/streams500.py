"""500 streams at once through all of Manta: all finish, none is refused or cut."""

import time

from bench.load import chat_body, closed_loop
from bench.load import run as run_loop
from bench.options import Options
from bench.report import Report, Table, kinds, number
from bench.stacks import Stack, ready_manta
from bench.summary import Summary, summarize

STREAMS = 500
TOKENS = 128


def run(options: Options) -> Report:
    """Rounds of 500 streams that start together."""
    with ready_manta() as stack:
        ask(stack, 16)
        rounds = [ask(stack, STREAMS) for _ in range(options.pick(3, 1))]
    rows = [
        [
            str(each.answers),
            str(each.answers - sum(each.errors.values())),
            kinds(each.errors),
            number(each.tokens_per_s, 0),
            number(each.ttft_p50_ms, 0),
            number(each.ttft_p99_ms, 0),
            number(each.gap_p99_ms, 0),
            number(each.wall_s),
        ]
        for each in rounds
    ]
    headers = ["streams", "whole", "errors", "tok/s", "TTFT p50 ms", "p99", "gap p99 ms", "seconds"]
    notes = [f"A stream is whole when it ended with [DONE] and its usage says {TOKENS} tokens."]
    failed = any(each.errors for each in rounds)
    title = f"{STREAMS} concurrent streams of {TOKENS} tokens"
    return Report(
        "streams500", title, [Table(headers, rows)], notes, {"rounds": [each.as_json() for each in rounds]}, failed
    )


def ask(stack: Stack, streams: int) -> Summary:
    """One request on each of `streams` connections."""
    bodies = [stack.server.request(chat_body(TOKENS)) for _ in range(streams)]
    start = time.perf_counter()
    outcomes = run_loop(closed_loop(stack.server, bodies, streams, TOKENS))
    return summarize(outcomes, time.perf_counter() - start)
