"""The client against a real socket whose answers are scripted: they stand for an OpenAI-compatible server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bench.load import Client, Server, chat_body, closed_loop, open_loop
from tests.bench.test_sse import DONE, HEAD, STREAM, WORD, chunked

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[Server]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            await answer(writer)
            if writer.is_closing() or reader.at_eof():
                return

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield Server(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", "m", "sk-test")
    finally:
        server.close()


async def whole(writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM)


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(STREAM[:-30])
    writer.close()


async def unfinished(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + chunked(WORD, DONE))


async def test_closed_loop_asks_everything_once() -> None:
    async with serving(whole) as server:
        outcomes = await closed_loop(server, [server.request(chat_body(2)) for _ in range(10)], 3, 2)
    assert [outcome.error for outcome in outcomes] == [""] * 10
    assert {(outcome.tokens, outcome.events) for outcome in outcomes} == {(2, 4)}
    assert all(outcome.ttft_s is not None for outcome in outcomes)


async def test_a_cut_stream_is_counted_and_the_next_one_opens_a_connection() -> None:
    async with serving(cut) as server:
        outcomes = await closed_loop(server, [server.request(chat_body(2))] * 2, 1, 2)
    assert [outcome.error for outcome in outcomes] == ["cut", "cut"]


async def test_open_loop_answers_each_planned_request() -> None:
    async with serving(unfinished) as server:
        outcomes = await open_loop(server, [(0.0, server.request(chat_body(2)))] * 5, 2)
    assert [outcome.error for outcome in outcomes] == ["no usage"] * 5


async def test_nobody_there_is_refused() -> None:
    async with serving(whole) as server:
        gone = server
    outcome = await Client(gone, 2).ask(gone.request(chat_body(2)))
    assert outcome.error == "refused"


def test_a_request_carries_key_and_length() -> None:
    request = Server("https://example.com/v1", "m", "sk-test").request({"stream": True})
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nHost: example.com\r\n")
    assert b"Authorization: Bearer sk-test" in head
    assert b"Content-Length: %d" % len(body) in head


def test_prompts_never_repeat() -> None:
    assert chat_body(1)["messages"] != chat_body(1)["messages"]
