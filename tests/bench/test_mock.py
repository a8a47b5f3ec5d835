"""The scripted engine speaks the real encoder's events, and the two equations of the mock bench."""

from collections.abc import Callable

import orjson
import pytest

from bench.load import Outcome
from bench.mock import Leg, costs
from bench.mock_engine import MockEngine, words
from bench.summary import summarize
from models.wire import Call, Usage


class Page:
    """A reply in memory."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.usage: Usage | None = None

    def head(self, content_type: str) -> None:
        assert content_type == "text/event-stream"

    def data(self, chunk: bytes) -> None:
        self.parts.append(chunk)

    def end(self, usage: Usage) -> None:
        self.usage = usage

    def fail(self, error: Exception) -> None:
        raise error

    def on_cancel(self, callback: Callable[[], object]) -> None:
        self.leave = callback


async def test_an_answer_has_as_many_words_as_asked() -> None:
    engine, page = MockEngine(0.0), Page()
    await engine.start(lambda _: None)
    await engine.answer(Call("/v1/chat/completions", b'{"model":"mock","max_tokens":5}', "r"), page)
    while page.usage is None:
        await _turn()
    await engine.stop()
    events = [orjson.loads(line[6:]) for line in b"".join(page.parts).split(b"\n\n") if line.startswith(b"data: {")]
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events if event["choices"])
    assert text == words(5)
    assert page.usage.completion_tokens == 5


async def test_a_client_that_left_is_dropped() -> None:
    engine, page = MockEngine(60.0), Page()
    await engine.answer(Call("/v1/chat/completions", b'{"model":"mock","max_tokens":5}', "r"), page)
    assert engine.metrics().endswith(b" 1\n")
    page.leave()
    assert engine.metrics().endswith(b" 0\n")


def test_costs_of_a_request_and_of_a_chunk() -> None:
    def leg(answers: int, tokens: int) -> Leg:
        outcomes = [Outcome(0.1, 1.0, (), tokens, tokens, "")] * answers
        return Leg(summarize(outcomes, 1.0), (500 * answers + 20 * answers * tokens) / 1e6, 0.0, 0.0)

    assert costs(leg(100, 1), leg(10, 256)) == pytest.approx((500, 20))


async def _turn() -> None:
    import asyncio

    await asyncio.sleep(0)
