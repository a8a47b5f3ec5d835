import asyncio

import pytest

from configs.errors import EngineDied, MantaError, TimedOut
from models.wire import Call, Usage
from serving.exchange import ClientGone, Exchange
from serving.link.server import StreamReply
from tests.fixtures.links import TIMEOUT_S, Desk, call, linked

USAGE = Usage(3, 2, 1)
ENDLESS = 1e9


class Screen:
    """A client that keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[str | bytes] = []

    def begin(self, content_type: str) -> None:
        self.shown.append(content_type)

    def write(self, chunk: bytes) -> None:
        self.shown.append(chunk)


async def test_an_answer_is_passed_on_and_its_usage_returned() -> None:
    exchange = Exchange(screen := Screen())
    exchange.on_head("text/event-stream")
    started = [exchange.started]
    for part in (b"one", b"two"):
        exchange.on_data(part)
        started.append(exchange.started)
    assert started == [False, True, True]
    exchange.on_end(USAGE)
    assert await exchange.finished == USAGE
    assert screen.shown == ["text/event-stream", b"one", b"two"]


async def test_a_failure_before_the_first_byte_leaves_the_client_untouched() -> None:
    exchange = Exchange(screen := Screen())
    exchange.on_head("text/event-stream")
    exchange.on_fail(EngineDied("gone"))
    with pytest.raises(EngineDied):
        await exchange.finished
    assert screen.shown == []
    assert not exchange.started


@pytest.mark.parametrize("last", [USAGE, EngineDied("late")], ids=["end", "failure"])
async def test_an_abandoned_answer_shows_nothing_more(last: Usage | MantaError) -> None:
    exchange = Exchange(screen := Screen())
    used: list[Usage] = []
    exchange.on_usage = used.append
    exchange.on_data(b"one")
    exchange.abandon(ClientGone())
    exchange.abandon(TimedOut("a second reason"))
    exchange.on_data(b"late")
    if isinstance(last, Usage):
        exchange.on_end(last)
    else:
        exchange.on_fail(last)
    with pytest.raises(ClientGone):
        await exchange.finished
    assert screen.shown == ["", b"one"]
    assert used == ([USAGE] if isinstance(last, Usage) else [])


async def test_abandoning_stops_the_work_and_the_usage_still_arrives() -> None:
    async def until_cancelled(call: Call, reply: StreamReply) -> None:
        cancelled = asyncio.Event()
        reply.on_cancel(cancelled.set)
        reply.data(b"one")
        await cancelled.wait()
        reply.end(USAGE)

    async with linked(Desk(until_cancelled)) as link:
        used: asyncio.Future[Usage] = asyncio.get_running_loop().create_future()
        exchange = Exchange(Screen())
        exchange.on_usage = used.set_result
        exchange.opened(link, link.open(call(), exchange))
        exchange.abandon(ClientGone())
        with pytest.raises(ClientGone):
            await exchange.finished
        assert await asyncio.wait_for(used, TIMEOUT_S) == USAGE


async def test_who_is_cancelled_while_they_wait_stops_the_work() -> None:
    stopped = asyncio.Event()

    async def until_cancelled(call: Call, reply: StreamReply) -> None:
        reply.on_cancel(stopped.set)
        reply.data(b"one")
        await asyncio.Event().wait()

    async with linked(desk := Desk(until_cancelled)) as link:
        exchange = Exchange(Screen())
        exchange.opened(link, link.open(call(), exchange))
        waiting = asyncio.create_task(exchange.ended())
        await asyncio.wait_for(desk.changed.wait(), TIMEOUT_S)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(stopped.wait(), TIMEOUT_S)


async def test_the_first_token_is_overdue_until_it_came() -> None:
    exchange = Exchange(Screen())
    assert exchange.overdue(ENDLESS, ENDLESS) is None
    exchange.opened_at -= 10
    error = exchange.overdue(9.5, ENDLESS)
    assert isinstance(error, TimedOut)
    assert "first token within 9.5 seconds" in error.message
    exchange.on_head("text/event-stream")
    assert exchange.overdue(9.5, ENDLESS) is not None
    exchange.on_data(b"one")
    assert exchange.overdue(9.5, ENDLESS) is None


async def test_a_stalled_answer_is_overdue_until_it_goes_on() -> None:
    exchange = Exchange(Screen())
    exchange.last_at -= 10
    assert exchange.overdue(ENDLESS, 9.5) is None
    exchange.on_data(b"one")
    exchange.last_at -= 10
    error = exchange.overdue(ENDLESS, 9.5)
    assert isinstance(error, TimedOut)
    assert "nothing more for 9.5 seconds" in error.message
    exchange.on_data(b"two")
    assert exchange.overdue(ENDLESS, 9.5) is None
