import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.http import MAX_HEAD_BYTES, SCOPE_KEY, SLOW_READER_BYTES, DirectStream
from tests.fixtures.links import TIMEOUT_S
from tests.fixtures.servers import Served, Wire, served

EVENTS = [b"data: one\n\n", b"data: two\n\n", b"data: [DONE]\n\n"]
HEADERS = [(b"content-type", b"text/event-stream"), (b"x-own", b"1")]
LAST = {"type": "http.response.body", "body": b"", "more_body": False}


class Site:
    """An application with one streamed path, one plain, and two that never end."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.began = asyncio.Event()
        self.written = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        await getattr(self, scope["path"].strip("/"))(scope, send)

    async def stream(self, scope: Any, send: Any) -> None:
        stream = DirectStream(scope)
        await asyncio.sleep(0)
        stream.begin(HEADERS)
        for event in EVENTS:
            stream.write(event)
            await asyncio.sleep(0)
        await send(LAST)

    async def plain(self, scope: Any, send: Any) -> None:
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"plain"})

    async def wait(self, scope: Any, send: Any) -> None:
        stream = DirectStream(scope)
        stream.begin(HEADERS)
        stream.watch(self.gone.set)
        stream.write(EVENTS[0])
        self.began.set()
        await self.gone.wait()

    async def late(self, scope: Any, send: Any) -> None:
        self.began.set()
        await asyncio.wait_for(scope[SCOPE_KEY].cycle.message_event.wait(), TIMEOUT_S)
        DirectStream(scope).watch(self.gone.set)

    async def unwatched(self, scope: Any, send: Any) -> None:
        stream = DirectStream(scope)
        stream.watch(self.gone.set)
        stream.watch(None)
        await self.stream(scope, send)

    async def flood(self, scope: Any, send: Any) -> None:
        stream = DirectStream(scope)
        stream.begin(HEADERS)
        stream.watch(self.gone.set)
        while not self.gone.is_set():
            stream.write(bytes(2**16))
            self.written += 2**16
            await asyncio.sleep(0)


@pytest.fixture
async def site() -> Site:
    return Site()


@pytest.fixture
async def front(site: Site) -> AsyncIterator[Served]:
    async with served(site) as at:
        yield at


def request(path: str, version: str = "1.1", headers: str = "", body: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"POST {path} HTTP/{version}\r\nHost: manta\r\n{length}{headers}\r\n{body}".encode()


async def says_400(wire: Wire) -> None:
    reply = await wire.reply()
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["connection"] == "close"
    error = json.loads(reply.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert await wire.rest() == b""


@pytest.mark.parametrize(
    "broken",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /plain HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /plain HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /plain HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /plain HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /plain HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /plain HTTP/1.1\r\na\0b: c\r\n\r\n",
        b"POST /plain HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=[
        "TLS", "words", "version", "negative length", "huge length", "length and chunks", "two lengths",
        "no header", "NUL in a header", "no chunk size",
    ],
)  # fmt: skip
async def test_broken_http_is_refused_in_openais_shape(front: Served, broken: bytes) -> None:
    async with front.wire() as wire:
        wire.send(broken)
        await says_400(wire)


async def test_what_follows_a_good_request_is_refused_in_that_shape_too(front: Served) -> None:
    async with front.wire() as wire:
        wire.send(request("/plain"))
        assert (await wire.reply()).body == b"plain"
        wire.send(b"rubbish\r\n\r\n")
        await says_400(wire)


async def test_a_direct_stream_is_chunked_for_http_1_1(front: Served) -> None:
    async with front.wire() as wire:
        wire.send(request("/stream"))
        status, headers = await wire.head()
        assert (status, headers["content-type"], headers["x-own"]) == (200, "text/event-stream", "1")
        assert headers["transfer-encoding"] == "chunked"
        assert "connection" not in headers
        assert [await wire.chunk() for _ in range(4)] == [*EVENTS, b""]


async def test_a_direct_stream_is_raw_for_http_1_0(front: Served) -> None:
    async with front.wire() as wire:
        wire.send(request("/stream", version="1.0"))
        status, headers = await wire.head()
        assert (status, headers["connection"]) == (200, "close")
        assert "transfer-encoding" not in headers
        assert await wire.rest() == b"".join(EVENTS)


async def test_the_connection_is_good_for_the_next_requests(front: Served) -> None:
    async with front.wire() as wire:
        for path in ("/stream", "/plain", "/stream", "/stream", "/plain"):
            wire.send(request(path, body="{}"))
            assert (await wire.reply()).body == (b"plain" if path == "/plain" else b"".join(EVENTS))


async def test_the_connection_closes_when_the_client_asks_for_it(front: Served) -> None:
    async with front.wire() as wire:
        wire.send(request("/stream", headers="Connection: close\r\n"))
        reply = await wire.reply()
        assert (reply.headers["connection"], reply.body) == ("close", b"".join(EVENTS))
        assert await wire.rest() == b""


async def test_an_ordinary_client_reads_it(front: Served) -> None:
    async with front.http() as client, client.stream("POST", "/stream", content=b"{}") as response:
        assert b"".join([part async for part in response.aiter_bytes()]) == b"".join(EVENTS)


async def test_plain_answers_may_be_pipelined(front: Served) -> None:
    async with front.wire() as wire:
        wire.send(request("/plain", body="{}") * 3)
        assert [(await wire.reply()).body for _ in range(3)] == [b"plain"] * 3


async def test_streams_may_be_pipelined(front: Served) -> None:
    async with front.wire() as wire:
        wire.send(request("/stream", body="{}") * 2)
        assert [(await wire.reply()).body for _ in range(2)] == [b"".join(EVENTS)] * 2


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
async def test_a_client_that_leaves_is_noticed(front: Served, site: Site, reset: bool) -> None:
    async with front.wire() as wire:
        wire.send(request("/wait"))
        assert (await wire.head())[0] == 200
        assert not site.gone.is_set()
        if reset:
            await wire.drop()
        else:
            wire.writer.close()
        await asyncio.wait_for(site.gone.wait(), TIMEOUT_S)


async def test_a_client_that_left_before_it_was_watched_is_noticed(front: Served, site: Site) -> None:
    async with front.wire() as wire:
        wire.send(request("/late", headers="Content-Length: 0\r\n"))
        await asyncio.wait_for(site.began.wait(), TIMEOUT_S)
        await wire.drop()
        await asyncio.wait_for(site.gone.wait(), TIMEOUT_S)


async def test_nobody_is_told_after_the_watching_ended(front: Served, site: Site) -> None:
    async with front.wire() as wire:
        wire.send(request("/unwatched"))
        assert (await wire.reply()).body == b"".join(EVENTS)
    async with front.wire() as wire:
        wire.send(request("/plain"))
        await wire.reply()
    assert not site.gone.is_set()


async def test_a_slow_reader_is_dropped(front: Served, site: Site) -> None:
    with socket.create_connection(("127.0.0.1", front.port)) as slow:
        slow.sendall(request("/flood"))
        await asyncio.wait_for(site.gone.wait(), TIMEOUT_S)
    assert site.written >= SLOW_READER_BYTES


async def test_a_fast_reader_gets_more_than_the_bound(front: Served, site: Site) -> None:
    async with front.wire() as wire:
        wire.send(request("/flood"))
        await wire.head()
        for _ in range(2 * SLOW_READER_BYTES // 2**16):
            assert len(await wire.chunk()) == 2**16
        assert not site.gone.is_set()
        await wire.drop()
        await asyncio.wait_for(site.gone.wait(), TIMEOUT_S)


async def test_a_head_without_end_is_refused(front: Served) -> None:
    async with front.wire() as wire:
        wire.send(b"GET /plain HTTP/1.1\r\nhost: a\r\nx-long: " + b"a" * (MAX_HEAD_BYTES + 1))
        assert (await wire.head())[0] == 431
    async with front.wire() as wire:
        wire.send(request("/plain", headers="x-long: " + "a" * (MAX_HEAD_BYTES // 2) + "\r\n"))
        assert (await wire.reply()).body == b"plain"


@pytest.mark.parametrize("sent", [b"", b"GET /plain HT"], ids=["silent", "half a line"])
async def test_a_head_that_does_not_come_is_not_waited_for(
    front: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("api.http.HEAD_TIMEOUT_S", 0.1)
    async with front.wire() as wire:
        wire.send(sent)
        assert await asyncio.wait_for(wire.rest(), TIMEOUT_S) == b""


async def test_a_head_in_time_ends_the_wait(front: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.http.HEAD_TIMEOUT_S", 0.1)
    async with front.wire() as wire:
        wire.send(request("/plain"))
        await wire.reply()
        await asyncio.sleep(0.2)
        wire.send(request("/plain"))
        assert (await wire.reply()).body == b"plain"
