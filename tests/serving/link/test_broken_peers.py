import asyncio
from typing import Any

import pytest

from configs.errors import EngineDied
from models.wire import Call
from serving.link.client import Address, Link
from serving.link.frames import FrameKind, pack, pack_open
from serving.link.server import StreamReply
from tests.fixtures.links import SECRET, TIMEOUT_S, Desk, Recorder, call, ended, listening, until


async def never(call: Call, reply: StreamReply) -> None:
    pytest.fail("this call should not have arrived")


async def raw(address: Address, *frames: bytes) -> bytes:
    """What the other side says to these bytes before it closes."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(b"".join(frames))
    async with asyncio.timeout(TIMEOUT_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


async def test_a_wrong_secret_is_closed_before_any_call() -> None:
    async with listening(desk := Desk(never)) as address:
        link = await Link.connect(address, b"a wrong one", None)
        link.open(call(), sink := Recorder())
        await ended(sink)
        assert [type(error) for error in sink.errors] == [EngineDied]
        assert not link.alive
    assert desk.calls == []


@pytest.mark.parametrize(
    "frames",
    [
        [pack_open(1, call())],
        [pack(FrameKind.HELLO, 0, b"")],
        [pack(FrameKind.HELLO, 0, SECRET + b"x"), pack_open(1, call())],
        [pack(FrameKind.RELEASE, 0, b"lease")],
        [pack(FrameKind.OPEN, 0, SECRET)],
        [b"GET / HTTP/1.1\r\nHost: manta\r\n\r\n"],
    ],
    ids=["no hello", "empty secret", "a longer secret", "a release first", "the secret in an OPEN", "HTTP"],
)
async def test_strangers_are_closed_without_a_word(frames: list[bytes]) -> None:
    async with listening(desk := Desk(never)) as address:
        assert await raw(address, *frames) == b""
    assert (desk.calls, desk.returned) == ([], [])


@pytest.mark.parametrize(
    "frame",
    [pack(FrameKind.HEAD, 1, b"x"), pack(FrameKind.OPEN, 1, b"\5\0{not}"), pack(FrameKind.OPEN, 1, b"\2\0[]")],
    ids=["a replica's frame", "no JSON", "too few words"],
)
async def test_a_peer_that_breaks_the_protocol_is_closed(frame: bytes) -> None:
    async with listening(desk := Desk(never)) as address:
        assert await raw(address, pack(FrameKind.HELLO, 0, SECRET), frame) == b""
    assert desk.calls == []


async def answered_by(frame: bytes) -> tuple[Link, Recorder, Recorder]:
    """A link whose replica answers the first of two streams with `frame`."""

    async def speak(reader: asyncio.StreamReader, writer: Any) -> None:
        await reader.read(1000)
        writer.write(frame)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    link = await Link.connect(Address("127.0.0.1", server.sockets[0].getsockname()[1]), SECRET, None)
    first, second = Recorder(), Recorder()
    link.open(call(), first)
    link.open(call(), second)
    await until(lambda: not link.alive)
    server.close()
    return link, first, second


BROKEN = [pack(FrameKind.OPEN, 1, b""), pack(FrameKind.HELLO, 1, b""), pack(FrameKind.RELEASE, 1)]


@pytest.mark.parametrize("frame", BROKEN)
async def test_a_replica_that_breaks_the_protocol_is_dropped(frame: bytes) -> None:
    _, _, other = await answered_by(frame)
    assert [type(error) for error in (await ended(other)).errors] == [EngineDied]


@pytest.mark.parametrize("frame", BROKEN)
async def test_the_stream_that_got_the_broken_frame_fails_too(frame: bytes) -> None:
    _, sink, other = await answered_by(frame)
    await ended(other)
    assert [type(error) for error in sink.errors] == [EngineDied]
