"""The front port between its two sides, on real sockets: the launcher's answers, and the way to an ingress and back."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from api.ingress import server
from api.launcher import port_keeper
from api.launcher.port_keeper import PortKeeper
from api.port import HandedPort, bind
from api.tls import FrontTls, pinned
from configs.postgres import EmbeddedPostgres
from configs.specs import GeneralSettings
from tests.fixtures.application import PASSWORD, application
from tests.fixtures.certificates import NAME, Pair, write_pair
from tests.fixtures.links import TIMEOUT_S, until
from tests.fixtures.servers import Served


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return write_pair(tmp_path)


async def test_the_port_speaks_tls_from_its_first_second_and_through_the_hand_over(
    pair: Pair, data_root: Path, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher's side answers, an ingress takes over, and when it is gone the launcher's side answers again."""
    monkeypatch.setattr(port_keeper, "GRACE_S", 0.0)
    settings = {"port": 0, "tls_cert": pair.certificate, "tls_key": pair.key, "allowed_hosts": (NAME,)}
    general = GeneralSettings(**settings)
    async with (
        kept(general, data_root / "port.sock") as keeper,
        application(postgres, general_settings=settings) as behind,
    ):
        front = Served(keeper._listener.getsockname()[1], pinned(pair.certificate))
        await says(front, "starting")
        handed = await HandedPort.receive(data_root / "port.sock")
        tls = FrontTls.of(general)
        uvicorn = server(behind.services.cluster, behind.services, tls)
        task = asyncio.create_task(uvicorn.serve(sockets=[handed.listener]))
        await until(lambda: uvicorn.started)
        handed.accepting()
        await asyncio.wait_for(keeper.handed_over.wait(), TIMEOUT_S)
        await signs_in(front)
        uvicorn.leave()
        await task
        handed._line.close()
        await until(lambda: not keeper._accepting)
        write_pair(pair.key.parent)
        again = Served(front.port, pinned(pair.certificate))
        keeper._answer_here()
        await says(again, "starting")


async def says(front: Served, code: str) -> None:
    async with front.http() as client:
        alive = await client.get("/livez")
        assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
        answer = await client.get("/v1/models")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, code)


async def signs_in(front: Served) -> None:
    """Over TLS the cookie is the host's own, and only pages of the same host may use it."""
    async with front.http(headers={"host": NAME}) as client:
        assert (await client.get("/livez")).json()["status"] == "alive"
        body = {"email": "tls@example.com", "password": PASSWORD, "name": "T"}
        made = await client.post("/api/auth/register", json=body, headers={"host": "localhost"})
        assert made.status_code == 201, made.text
        cookie = made.headers["set-cookie"].lower()
        assert cookie.startswith("__host-manta_refresh=")
        assert {"secure", "httponly", "path=/", "samesite=strict"} <= set(cookie.split("; "))
        token = {"cookie": made.headers["set-cookie"].partition(";")[0]}
        for origin, status in (("https://evil.example.com", 403), (f"http://{NAME}", 403), (f"https://{NAME}", 200)):
            answer = await client.post("/api/auth/refresh", headers={"origin": origin, **token})
            assert answer.status_code == status, answer.text


async def test_the_ports_first_side_survives_who_does_not_speak_tls(pair: Pair, data_root: Path) -> None:
    general = GeneralSettings(port=0, tls_cert=pair.certificate, tls_key=pair.key)
    async with kept(general, data_root / "port.sock") as keeper:
        port = keeper._listener.getsockname()[1]
        for words in (b"GET /livez HTTP/1.1\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(words)
            writer.write_eof()
            async with asyncio.timeout(TIMEOUT_S):
                assert b"alive" not in await reader.read()
            writer.close()
        await says(Served(port, pinned(pair.certificate)), "starting")


async def test_without_a_certificate_the_ports_first_side_speaks_plainly(data_root: Path) -> None:
    async with kept(GeneralSettings(port=0), data_root / "port.sock") as keeper:
        port = keeper._listener.getsockname()[1]
        await says(Served(port), "starting")
        with socket.create_connection(("127.0.0.1", port)) as raw:
            await asyncio.to_thread(raw.sendall, b"GET /readyz HTTP/1.0\r\n\r\n")
            answer = await asyncio.to_thread(read_all, raw)
        assert orjson.loads(answer.partition(b"\r\n\r\n")[2]) == {"status": "starting", "parts": {"one": "waiting"}}


def read_all(connection: socket.socket) -> bytes:
    parts = b""
    while part := connection.recv(65536):
        parts += part
    return parts


@asynccontextmanager
async def kept(general: GeneralSettings, path: Path) -> AsyncIterator[PortKeeper]:
    keeper = PortKeeper(bind(general, reuse_port=False), lambda: {"one": "waiting"}, FrontTls.of(general))
    await keeper.open(path)
    yield keeper
    keeper.close()
