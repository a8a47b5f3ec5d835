"""The client of benches, against a server that closes what rests."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import orjson
import pytest

from bench import asking
from bench.asking import Asking, for_seconds, in_turn, until_read
from bench.load import Server

LATE = 2


class Echo(BaseHTTPRequestHandler):
    """Tells what it was sent; `/v1/bad` is refused, `/v1/late` the first time."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        type(self).connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        told = orjson.dumps({"id": "file-1", "body": body.decode(), "key": self.headers["authorization"]})
        reads = self.path == "/v1/late" and type(self).connections < LATE
        type(self).connections += reads
        self.send_response(503 if reads else 400 if self.path == "/v1/bad" else 200)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    Echo.connections = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as listening:
        Thread(target=listening.serve_forever).start()
        yield Server(f"http://127.0.0.1:{listening.server_port}/v1", "m", "sk-1")
        listening.shutdown()


def test_one_connection_is_kept_and_a_rested_one_is_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Asking(server)
    assert client.post("/a", {"b": 1}) == {"id": "file-1", "body": '{"b":1}', "key": "Bearer sk-1"}
    assert client.upload("a.txt", b"text") == "file-1"
    assert Echo.connections == 1
    monkeypatch.setattr(asking, "IDLE_S", -1.0)
    client.post("/a", {})
    assert Echo.connections == 2
    client.close()


def test_every_turn_is_asked_once(server: Server) -> None:
    seen: list[int] = []
    found = in_turn(server, lambda client, turn: seen.append(turn) or client.post("/a", {}), 4, range(40))  # type: ignore[func-returns-value]
    assert sorted(seen) == list(range(40))
    assert len(found.times_s) == 40
    assert found.per_s > 0
    assert for_seconds(server, lambda client, _: client.post("/a", {}), 2, 0.2).wall_s >= 0.2


def test_a_refusal_ends_it(server: Server) -> None:
    with pytest.raises(RuntimeError, match="POST /bad: 400"):
        in_turn(server, lambda client, _: client.post("/bad", {}), 2, range(10))


def test_a_store_that_is_being_read_is_waited_for_and_other_refusals_are_not(server: Server) -> None:
    client = Asking(server)
    until_read(client, "/late", {})
    with pytest.raises(RuntimeError, match="400"):
        until_read(client, "/bad", {})
    client.close()


def test_what_is_refused_now_and_then_is_counted(server: Server) -> None:
    found = for_seconds(server, lambda client, turn: client.post("/a" if turn % 4 else "/bad", {}), 2, 0.1)
    assert found.refused > 0
    assert found.times_s
