import asyncio

import pytest

from configs.errors import ContextTooLong, EngineDied, Internal
from models.wire import Call, Usage
from serving.link.client import Address, Link
from serving.link.server import StreamReply
from tests.fixtures.links import SECRET, TIMEOUT_S, Desk, Recorder, call, ended, linked, listening, until
from tests.fixtures.stack import free_port

USAGE = Usage(3, 2, 1)


async def echo(call: Call, reply: StreamReply) -> None:
    reply.head("text/event-stream")
    for part in call.body.split(b" "):
        await asyncio.sleep(0)
        reply.data(part)
    reply.end(USAGE)


async def for_ever(call: Call, reply: StreamReply) -> None:
    reply.head("text/event-stream")
    reply.data(b"first")
    await asyncio.Event().wait()


async def test_answers_are_streamed_to_the_right_sink() -> None:
    desk = Desk(echo)
    async with linked(desk) as link:
        sinks = [Recorder() for _ in range(20)]
        for number, sink in enumerate(sinks):
            link.open(call(body=b"%d and more of it" % number), sink)
        for number, sink in enumerate(sinks):
            await ended(sink)
            assert sink.parts == [b"%d" % number, b"and", b"more", b"of", b"it"]
            assert (sink.content_type, sink.usage, sink.errors) == ("text/event-stream", [USAGE], [])
    assert [each.tenant for each in desk.calls] == ["tenant"] * 20


async def test_a_call_arrives_as_it_was_made() -> None:
    desk = Desk(echo)
    made = Call("/v1/embeddings", b"\0\xff", "an id", "a tenant", "a lease")
    async with linked(desk) as link:
        link.open(made, sink := Recorder())
        await ended(sink)
    assert desk.calls == [made]


async def test_large_bodies_pass_both_ways() -> None:
    body = bytes(range(256)) * 2**14
    desk = Desk(echo)
    async with linked(desk) as link:
        link.open(call(body=body), sink := Recorder())
        await ended(sink)
    assert sink.body == body.replace(b" ", b"")


async def test_a_typed_error_arrives_as_it_was_raised() -> None:
    async def refuse(call: Call, reply: StreamReply) -> None:
        raise ContextTooLong("too long", param="messages")

    async with linked(Desk(refuse)) as link:
        link.open(call(), sink := Recorder())
        (error,) = (await ended(sink)).errors
    assert type(error) is ContextTooLong
    assert (error.message, error.param) == ("too long", "messages")


async def test_an_unexpected_error_tells_nothing_of_itself() -> None:
    async def stumble(call: Call, reply: StreamReply) -> None:
        raise RuntimeError("the password is 123")

    async with linked(Desk(stumble)) as link:
        link.open(call(), sink := Recorder())
        (error,) = (await ended(sink)).errors
    assert type(error) is Internal
    assert "password" not in error.message


async def test_nothing_follows_an_end() -> None:
    async def talk_on(call: Call, reply: StreamReply) -> None:
        reply.end(USAGE)
        reply.data(b"late")
        reply.fail(Internal("late"))
        reply.end(USAGE)

    async with linked(Desk(talk_on)) as link:
        link.open(call(), sink := Recorder())
        link.open(call(), second := Recorder())
        await ended(sink)
        await ended(second)
    assert (sink.parts, sink.usage, sink.errors) == ([], [USAGE], [])


async def test_cancel_reaches_the_backend_and_its_usage_comes_back() -> None:
    cancelled = asyncio.Event()

    async def until_cancelled(call: Call, reply: StreamReply) -> None:
        reply.on_cancel(cancelled.set)
        reply.data(b"first")
        await cancelled.wait()
        reply.data(b"late")
        reply.end(USAGE)

    async with linked(Desk(until_cancelled)) as link:
        stream = link.open(call(), sink := Recorder())
        await asyncio.wait_for(sink.began.wait(), TIMEOUT_S)
        link.cancel(stream)
        await ended(sink)
    assert (sink.parts, sink.usage, sink.errors) == ([b"first"], [USAGE], [])


async def test_a_cancel_that_came_before_the_callback_is_told_at_once() -> None:
    told, seen = asyncio.Event(), asyncio.Event()

    async def slow_to_listen(call: Call, reply: StreamReply) -> None:
        await until(lambda: not reply._open)
        seen.set()
        reply.on_cancel(told.set)
        reply.end(USAGE)

    async with linked(Desk(slow_to_listen)) as link:
        link.cancel(link.open(call(), sink := Recorder()))
        await ended(sink)
    assert seen.is_set()
    assert told.is_set()
    assert sink.usage == [USAGE]


async def test_one_cancel_leaves_the_other_streams_alone() -> None:
    both = asyncio.Event()

    async def wait(call: Call, reply: StreamReply) -> None:
        if call.body == b"left":
            reply.on_cancel(lambda: reply.end(Usage()))
            both.set()
            return
        await both.wait()
        await echo(call, reply)

    async with linked(Desk(wait)) as link:
        link.open(call(body=b"stays"), stays := Recorder())
        left = link.open(call(body=b"left"), Recorder())
        await asyncio.wait_for(both.wait(), TIMEOUT_S)
        link.cancel(left)
        await ended(stays)
    assert stays.body == b"stays"


async def test_a_cancel_of_a_finished_stream_does_nothing() -> None:
    async with linked(Desk(echo)) as link:
        stream = link.open(call(), sink := Recorder())
        await ended(sink)
        link.cancel(stream)
        link.open(call(body=b"next"), after := Recorder())
        await ended(after)
    assert after.body == b"next"


async def test_a_lost_replica_fails_every_open_sink() -> None:
    accepted: list[StreamReply] = []

    async def keep(call: Call, reply: StreamReply) -> None:
        accepted.append(reply)
        await for_ever(call, reply)

    async with linked(Desk(keep)) as link:
        sinks = [Recorder() for _ in range(3)]
        for sink in sinks:
            link.open(call(), sink)
        await until(lambda: len(accepted) == 3)
        accepted[0]._link._close()
        for sink in sinks:
            await ended(sink)
            assert [type(error) for error in sink.errors] == [EngineDied]
        assert not link.alive
        link.open(call(), late := Recorder())
        assert [type(error) for error in late.errors] == [EngineDied]


async def test_a_lost_ingress_stops_its_work_and_returns_its_leases() -> None:
    cancelled = asyncio.Event()

    async def work(call: Call, reply: StreamReply) -> None:
        reply.on_cancel(cancelled.set)
        await for_ever(call, reply)

    desk = Desk(work)
    async with listening(desk) as address:
        link = await Link.connect(address, SECRET, None)
        for lease in ("one", "two", "given back"):
            link.open(call(lease=lease), Recorder())
        link.release("given back")
        await until(lambda: desk.returned == ["given back"] and len(desk.calls) == 3)
        link.close()
        await until(lambda: sorted(desk.returned) == ["given back", "one", "two"])
        await asyncio.wait_for(cancelled.wait(), TIMEOUT_S)


async def test_closing_a_link_fails_what_runs_on_it() -> None:
    async with linked(Desk(for_ever)) as link:
        link.open(call(), sink := Recorder())
        await asyncio.wait_for(sink.began.wait(), TIMEOUT_S)
        link.close()
        await ended(sink)
    assert [type(error) for error in sink.errors] == [EngineDied]


async def test_nobody_there_is_an_error_at_once() -> None:
    with pytest.raises(OSError, match=r"refused|Connect"):
        await Link.connect(Address("127.0.0.1", free_port()), SECRET, None)
