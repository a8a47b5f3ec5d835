"""100 people who chat at once for five minutes: each asks every 10 s for an answer of 100 tokens, by the clock."""

import time

from bench.load import chat_body, open_loop
from bench.load import run as run_loop
from bench.options import Options
from bench.report import Report, Table, kinds, number
from bench.stacks import ready_manta
from bench.streams500 import ask
from bench.summary import summarize

PEOPLE = 100
EVERY_S = 10.0
TOKENS = 100


def run(options: Options) -> Report:
    """One run; an answer's time counts from the second it was planned for."""
    turns = options.pick(30, 3)
    with ready_manta() as stack:
        ask(stack, 16)
        plan = [
            (EVERY_S * (turn + person / PEOPLE), stack.server.request(chat_body(TOKENS)))
            for turn in range(turns)
            for person in range(PEOPLE)
        ]
        meter, start = stack.meter(), time.perf_counter()
        outcomes = run_loop(open_loop(stack.server, plan, TOKENS))
        used, found = meter.read(), summarize(outcomes, time.perf_counter() - start)
    cores = {name: cpu_s / used.wall_s for name, cpu_s in used.cpu_s.items()}
    row = [
        str(found.answers),
        kinds(found.errors),
        number(found.whole_p50_s, 2),
        number(found.whole_p95_s, 2),
        number(found.whole_p99_s, 2),
        number(found.ttft_p50_ms, 0),
        number(found.tokens_per_s, 0),
        number(sum(cores.values()), 2),
    ]
    headers = ["answers", "errors", "whole p50 s", "p95 s", "p99 s", "TTFT p50 ms", "tok/s", "cores used"]
    parts = sorted(cores.items(), key=lambda part: -part[1])
    notes = ["Cores by role: " + ", ".join(f"{name} {used:.2f}" for name, used in parts if used >= 0.005) + "."]
    title = f"{PEOPLE} people, one answer of {TOKENS} tokens every {EVERY_S:g} s, {turns * EVERY_S:g} s"
    data = {"summary": found.as_json(), "cores": cores}
    return Report("people", title, [Table(headers, [row])], notes, data, bool(found.errors))
