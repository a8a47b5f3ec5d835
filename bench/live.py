"""Measure any running OpenAI-compatible server: python -m bench.live --url http://127.0.0.1:8000/v1 --model NAME

The key comes from the environment variable MANTA_API_KEY, so that it stands on no command line.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import orjson

from bench.load import Server, chat_body, closed_loop, run
from bench.report import Table, kinds, number
from bench.summary import Summary, summarize

KEY = "MANTA_API_KEY"
HEADERS = ["clients", "answers", "errors", "tok/s", "TTFT p50 ms", "p99", "gap p50 ms", "p99", "whole p50 s"]


def main() -> None:
    """Measure, print, and end with 1 when an answer failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1", help="up to and with /v1")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--concurrency", default="1,16,64", help="numbers of clients, one after the other")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of an answer")
    parser.add_argument("--requests", type=int, default=8, help="requests of each client")
    parser.add_argument("--json", type=Path, help="where to write the figures; - prints them instead")
    asked = parser.parse_args()
    server = Server(asked.url, asked.model, os.environ.get(KEY, ""))
    clients = [int(number_) for number_ in asked.concurrency.split(",")]
    found = measure(server, clients, asked.tokens, asked.requests)
    figures = orjson.dumps({str(each): of.as_json() for each, of in found.items()}, option=orjson.OPT_INDENT_2) + b"\n"
    if asked.json == Path("-"):
        sys.stdout.buffer.write(figures)
    else:
        sys.stdout.write(Table(HEADERS, [row(each, of) for each, of in found.items()]).markdown() + "\n")
    if asked.json is not None and asked.json != Path("-"):
        asked.json.write_bytes(figures)
    sys.exit(any(each.errors for each in found.values()))


def measure(server: Server, concurrency: Iterable[int], tokens: int, requests: int) -> dict[int, Summary]:
    """Streamed chats, `requests` on each of so many connections. Each prompt is new, so no prefix cache helps."""
    found = {}
    for clients in concurrency:
        bodies = [server.request(chat_body(tokens)) for _ in range(clients * requests)]
        start = time.perf_counter()
        outcomes = run(closed_loop(server, bodies, clients, None))
        found[clients] = summarize(outcomes, time.perf_counter() - start)
    return found


def row(clients: int, found: Summary) -> list[str]:
    """One line of the table."""
    return [
        str(clients),
        str(found.answers),
        kinds(found.errors),
        number(found.tokens_per_s, 0),
        number(found.ttft_p50_ms),
        number(found.ttft_p99_ms),
        number(found.gap_p50_ms),
        number(found.gap_p99_ms),
        number(found.whole_p50_s, 2),
    ]


if __name__ == "__main__":
    main()
