"""Clients that leave in the middle of a stream."""

from typing import Any

import pytest

from tests.faults.streams import RawStream
from tests.fixtures.stack import Stack
from tests.stack.test_openai import WEATHER

pytestmark = pytest.mark.stack


def vanish(stack: Stack, clients: int, deadline_s: float) -> None:
    streams = [RawStream(stack, tokens=4000) for _ in range(clients)]
    streams[0].read_until(b'"content"')
    stack.until(lambda: stack.metric("vllm:num_requests_running", model="starter") > 0, 20)
    for stream in streams:
        stream.close()
    stack.until(lambda: working(stack) == 0, deadline_s, lambda: f"{working(stack)} requests still run")
    stack.until(lambda: stack.metric("manta_open_answers", model="starter") == 0, deadline_s)


def working(stack: Stack) -> float:
    gauges = ("vllm:num_requests_running", "vllm:num_requests_waiting")
    return sum(stack.metric(gauge, model="starter") for gauge in gauges)


def test_100_clients_vanish(stack: Stack) -> None:
    vanish(stack, 100, 20)


@pytest.mark.deep
def test_1000_clients_vanish(stack: Stack) -> None:
    vanish(stack, 1000, 60)


@pytest.mark.parametrize(
    "fields",
    [{"stream": False}, {"logprobs": True}, {"n": 2}, {"tools": [WEATHER]}],
    ids=["whole", "logprobs", "two choices", "tools"],
)
def test_work_for_a_client_that_left_is_stopped(stack: Stack, fields: dict[str, Any]) -> None:
    stream = RawStream(stack, tokens=3500, **fields)
    stack.until(lambda: working(stack) > 0, 20)
    stream.close()
    stack.until(lambda: working(stack) == 0, 5, lambda: f"{working(stack)} requests still run")
