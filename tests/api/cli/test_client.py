import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse

from api.cli import client as module
from api.cli.client import Client, Refusal
from configs.errors import ConfigurationError, TimedOut, Unavailable
from tests.fixtures.certificates import write_pair
from tests.fixtures.gated import gated, unobserved
from tests.fixtures.servers import Served, served
from tests.fixtures.stack import free_port


@pytest.fixture
async def manta() -> AsyncIterator[Served]:
    async with served(gated(unobserved)) as at:
        yield at


def somebody_else() -> FastAPI:
    """Another service that happens to listen there."""
    app = FastAPI()
    events = 'data: {"n": 1}\n\n: ping\n\ndata: {"n": 2}\n\n'

    @app.get("/page")
    async def page() -> Response:
        return PlainTextResponse("<html>")

    @app.get("/teapot")
    async def teapot() -> Response:
        return PlainTextResponse("no", 418)

    @app.get("/slow")
    async def slow() -> Response:
        await asyncio.sleep(1)
        return PlainTextResponse("late")

    @app.post("/events")
    async def whole() -> Response:
        return Response(events + "data: [DONE]\n\n", media_type="text/event-stream")

    @app.post("/cut")
    async def cut() -> Response:
        return Response(events + 'data: {"error": {"message": "it broke"}}\n\n', media_type="text/event-stream")

    return app


@pytest.fixture
async def other() -> AsyncIterator[Served]:
    async with served(somebody_else()) as at:
        yield at


async def ask(url: str, work: Callable[[Client], Any], key: str | None = "sk-1") -> Any:
    def work_in_thread() -> Any:
        with Client(url, key) as client:
            return work(client)

    return await asyncio.to_thread(work_in_thread)


async def test_json_goes_both_ways(manta: Served) -> None:
    assert (await ask(manta.url, lambda client: client.post("/echo", {"a": [1]})))["json"] == {"a": [1]}
    assert (await ask(manta.url + "/v1/", lambda client: client.get("/number/7"))) == {"number": 7}
    assert (await ask(manta.url, lambda client: client.text("/number/7"))) == '{"number":7}'


async def test_a_refusal_keeps_the_servers_words(manta: Served) -> None:
    other_method = (405, "This path does not take that method.")
    for method, told in ((Client.get, (409, "words")), (Client.text, (409, "words")), (Client.delete, other_method)):
        with pytest.raises(Refusal) as raised:
            await ask(manta.url, partial(method, path="/raise/Conflict"))
        assert (raised.value.status, raised.value.message) == told


async def test_nobody_there_names_the_way_out() -> None:
    with pytest.raises(Unavailable, match="manta serve"):
        await ask(f"http://127.0.0.1:{free_port()}", lambda client: client.get("/x"))


async def test_somebody_else_is_recognised(other: Served) -> None:
    with pytest.raises(Unavailable, match="is no Manta"):
        await ask(other.url, lambda client: client.get("/page"))
    with pytest.raises(Refusal, match="status 418") as raised:
        await ask(other.url, lambda client: client.get("/teapot"))
    assert raised.value.status == 418
    with pytest.raises(Unavailable, match="is no Manta"):
        await ask(other.url + "/page?x=", lambda client: client.get(""))


async def test_who_takes_too_long_is_told(other: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)
    with pytest.raises(TimedOut, match="manta status"):
        await ask(other.url, lambda client: client.get("/slow"))


async def test_who_breaks_the_connection_is_told() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unavailable, match="manta logs"):
        await ask(f"http://127.0.0.1:{port}", lambda client: client.get("/x"))
    server.close()


async def test_events_are_read_to_their_end(other: Served) -> None:
    assert await ask(other.url, lambda client: list(client.events("/events", {}))) == [{"n": 1}, {"n": 2}]


async def test_an_error_inside_a_stream_is_raised_after_what_came_before(other: Served) -> None:
    seen: list[Any] = []
    with pytest.raises(Unavailable, match="it broke"):
        await ask(other.url, lambda client: seen.extend(client.events("/cut", {})))
    with pytest.raises(Refusal):
        await ask(other.url, lambda client: list(client.events("/nowhere", {})))


@pytest.mark.parametrize("url", ["http://127.0.0.1:port", "http://[::1"])
async def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address"):
        await ask(url, lambda client: client.get("/x"))


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://[::1]:1", True),
        ("https://a.example.com", False),
    ],
)
def test_proxies_are_for_servers_elsewhere_only(url: str, local: bool) -> None:
    with Client(url, None) as client:
        assert client.is_local == local


async def test_this_machines_own_certificate_is_known_whatever_name_it_is_for(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    async with served(gated(unobserved), pair) as front:

        def ask_with(certificate: Path | None) -> Any:
            with Client(front.url, "sk-1", certificate) as client:
                return client.get("/number/7")

        assert await asyncio.to_thread(ask_with, pair.certificate) == {"number": 7}
        (tmp_path / "other").mkdir()
        for unknown in (None, write_pair(tmp_path / "other").certificate):
            with pytest.raises(Unavailable, match="is not trusted: its authority is unknown"):
                await asyncio.to_thread(ask_with, unknown)


async def test_a_certificate_that_has_expired_is_told(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, days=-1)
    async with served(gated(unobserved), pair) as front:

        def ask_it() -> Any:
            with Client(front.url, "sk-1", pair.certificate) as client:
                return client.get("/number/7")

        with pytest.raises(Unavailable, match="it has expired"):
            await asyncio.to_thread(ask_it)


async def test_a_server_elsewhere_is_not_trusted_for_a_local_certificate(tmp_path: Path) -> None:
    with Client("https://a.example.com", "sk-1", tmp_path / "not there") as client:
        assert not client.is_local
