"""`k8s/nginx.conf` in a real nginx, in front of a small server of events that the test holds step by step."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from configs.specs import IngressSpec
from tests.architecture.tracked import ROOT
from tests.fixtures.stack import free_port

FILE = ROOT / "k8s" / "nginx.conf"
PATIENCE_S = 20.0
LIMIT = IngressSpec().max_body_bytes
needs_nginx = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="no nginx on this machine (Debian, Ubuntu: apt-get install nginx-light)"
)


class Events:
    """An upstream that sends an event whenever the test says so, and notices when its peer leaves."""

    def __init__(self) -> None:
        self.next_event: asyncio.Queue[bytes] = asyncio.Queue()
        self.head: dict[str, str] = {}
        self.body = b""
        self.left = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one answer."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.head = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines[1:-2])}
        self.head["request"] = lines[0]
        self.body = await reader.readexactly(int(self.head.get("content-length", "0")))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        sending = asyncio.create_task(self._send(writer))
        await reader.read()
        self.left.set()
        sending.cancel()
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while True:
            event = await self.next_event.get()
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()


@asynccontextmanager
async def in_front_of(upstream: int, folder: Path) -> AsyncIterator[int]:
    """nginx with the file as it stands, but for the two ports and where it writes; yields its port."""
    port = free_port()
    text = FILE.read_text()
    for old, new in (
        ("listen 8080;", f"listen 127.0.0.1:{port};"),
        ("127.0.0.1:8000", f"127.0.0.1:{upstream}"),
        ("/tmp/manta-nginx.pid", f"{folder}/pid"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    folders = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("proxy", "client_body", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(text.replace("http {\n", "http {\n" + folders, 1))
    process = await asyncio.create_subprocess_exec(
        "nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"
    )
    try:
        await accepts(port, process)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def accepts(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            assert process.returncode is None, "nginx ended; its words stand above"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Events, int]]:
    events = Events()
    server = await asyncio.start_server(events.answer, "127.0.0.1", 0)
    async with in_front_of(server.sockets[0].getsockname()[1], folder) as port:
        yield events, port
    server.close()
    await server.wait_closed()


def request(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: manta.example.com:8080\r\nforwarded: for=192.0.2.1\r\n"
    head += f"x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\ncontent-length: {size}\r\n\r\n"
    return head.encode() + body


@needs_nginx
async def test_events_pass_one_by_one_and_a_client_that_leaves_is_noticed(data_root: Path) -> None:
    async with asyncio.timeout(PATIENCE_S), served(data_root) as (events, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(b"{}"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"text/event-stream" in head
        for number in range(5):  # the next is not sent before the last has arrived
            event = b"data: %d\n\n" % number
            events.next_event.put_nowait(event)
            assert await reader.readuntil(event)
        assert events.head["request"] == "POST /v1/chat/completions HTTP/1.1"
        assert events.head["host"] == "manta.example.com:8080"
        assert events.head["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
        assert events.head["x-forwarded-proto"] == "http"
        assert "forwarded" not in events.head
        assert "connection" not in events.head
        assert not events.left.is_set()
        writer.close()
        await events.left.wait()


@needs_nginx
async def test_bodies_pass_up_to_the_limit_of_the_gate(data_root: Path) -> None:
    async with asyncio.timeout(PATIENCE_S), served(data_root) as (events, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(b"x" * LIMIT))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert len(events.body) == LIMIT
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(b"x", LIMIT + 1))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"application/json" in head
        assert orjson.loads(body)["error"]["code"] == "request_too_large"
        writer.close()


@needs_nginx
async def test_an_ingress_that_is_away_is_told_in_openais_shape(data_root: Path) -> None:
    async with asyncio.timeout(PATIENCE_S), in_front_of(free_port(), data_root) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/models HTTP/1.0\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 5" in head
        assert orjson.loads(body)["error"]["type"] == "server_error"
        writer.close()


def test_its_numbers_fit_the_ingress() -> None:
    limits = IngressSpec()
    assert value("client_max_body_size", "m") * 2**20 == limits.max_body_bytes
    assert value("proxy_read_timeout", "s") > limits.total_timeout_s
    assert value("keepalive_timeout", "s") < limits.keep_alive_s


def value(name: str, unit: str) -> int:
    """The first value of a directive."""
    found = re.search(rf"^\s*{name} (\d+){unit};", FILE.read_text(), re.M)
    assert found
    return int(found.group(1))
