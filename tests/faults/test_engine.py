"""The engine, its replica and the ingress, killed."""

import pytest

from tests.faults.streams import RawStream, in_background
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.faults

HEAL_S = 120


def ask(stack: Stack) -> str:
    answer = stack.sdk(timeout=HEAL_S).chat.completions.create(
        model="starter", messages=[{"role": "user", "content": "hello"}], max_tokens=4
    )
    return answer.choices[0].finish_reason


@pytest.mark.parametrize("part", ["core", "replica"])
def test_killed_engine_cuts_streams_with_one_event_and_heals(own_stack: Stack, part: str) -> None:
    stream = RawStream(own_stack).read_until(b'"content"')
    old = own_stack.kill(part)
    events = stream.read_to_close().split(b"\n\n")
    errors = [event for event in events if b'"error"' in event]
    assert len(errors) == 1
    assert b'"type":"' in errors[0]
    held, answers = in_background(lambda: ask(own_stack))
    held.join(HEAL_S)
    assert answers
    assert answers[0] in {"stop", "length"}
    assert own_stack.processes(part)[0].pid != old


def test_engine_whose_core_died_ends_its_replica(own_stack: Stack) -> None:
    (replica,) = own_stack.processes("replica")
    own_stack.kill("core")
    own_stack.until(lambda: not replica.is_running(), 10)
    assert ask(own_stack) in {"stop", "length"}


def test_killed_ingress_closes_connections_aborts_requests_and_comes_back(own_stack: Stack) -> None:
    stream = RawStream(own_stack, tokens=4000).read_until(b'"content"')
    own_stack.kill("ingress")
    assert not stream.read_to_close().endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    own_stack.until(lambda: own_stack.answer("/livez") is not None, 60)
    assert own_stack.metric("vllm:num_requests_running") == 0
    assert ask(own_stack) in {"stop", "length"}
