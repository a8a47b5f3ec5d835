"""Poison below JSON, byte by byte: heads, lengths, encodings. Each is refused or served, and the next one is served."""

import gzip
import json
import socket
import time

import pytest

from tests.fixtures.stack import Stack
from tests.stack.test_bad_input import assert_next_is_served, chat

pytestmark = pytest.mark.stack

BODY = json.dumps(chat()).encode()
LIMIT = 8 * 2**20


def exchange(stack: Stack, head: str, body: bytes = b"", timeout: float = 30) -> bytes:
    """Send a head (its key is added) and a body as they are; everything that comes back."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=timeout) as connection:
        connection.sendall(f"{head}\r\nauthorization: Bearer {stack.key}\r\nconnection: close\r\n\r\n".encode() + body)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass
        return received


def post(*headers: str, path: str = "/v1/chat/completions") -> str:
    return "\r\n".join((f"POST {path} HTTP/1.1", "content-type: application/json", *headers))


HEADS = {
    "length and chunks": post("host: localhost", f"content-length: {len(BODY)}", "transfer-encoding: chunked"),
    "two lengths": post("host: localhost", f"content-length: {len(BODY)}", "content-length: 3"),
    "negative length": post("host: localhost", "content-length: -1"),
    "length of text": post("host: localhost", "content-length: many"),
    "space in a name": post("host: localhost", "content-length : 3"),
    "10,000 headers": post("host: localhost", *(f"x-{number}: 1" for number in range(10_000))),
    "a header of 1 MB": post("host: localhost", "x-long: " + "x" * 2**20),
    "a path of 1 MB": post("host: localhost", f"content-length: {len(BODY)}", path="/" + "x" * 2**20),
    "NUL in the path": post("host: localhost", f"content-length: {len(BODY)}", path="/v1/chat\0/completions"),
    "NUL, quoted": post("host: localhost", f"content-length: {len(BODY)}", path="/api/models/a%00b"),
    "a climb": post("host: localhost", f"content-length: {len(BODY)}", path="/v1/../../etc/passwd"),
    "another host": post("host: evil.example.com", f"content-length: {len(BODY)}"),
    "a host of nonsense": post("host: [::1", f"content-length: {len(BODY)}"),
    "no HTTP": "hello",
    "HTTP/9": "GET / HTTP/9.9\r\nhost: localhost",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_broken_head_is_refused(stack: Stack, name: str) -> None:
    received = exchange(stack, HEADS[name], BODY)
    assert received[:9] in {b"", b"HTTP/1.1 "}
    if received:
        assert 400 <= int(received[9:12]) < 500, received[:300]
        assert b"Traceback" not in received
    assert_next_is_served(stack)


def test_a_request_is_not_smuggled_behind_a_length(stack: Stack) -> None:
    smuggled = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"
    head = post("host: localhost", "transfer-encoding: chunked", f"content-length: {len(smuggled)}")
    received = exchange(stack, head, smuggled)
    assert received.count(b"HTTP/1.1 ") <= 1
    assert b'"object":"list"' not in received
    assert_next_is_served(stack)


@pytest.mark.parametrize(("extra", "statuses"), [(-1, {200}), (0, {200}), (1, {413})])
def test_the_limit_of_a_body_is_exact(stack: Stack, extra: int, statuses: set[int]) -> None:
    padded = BODY + b" " * (LIMIT + extra - len(BODY))
    for content in (padded, iter([padded])):
        answer = stack.request(
            "POST", "/v1/chat/completions", content=content, headers={"content-type": "application/json"}
        )
        assert answer.status_code in statuses, answer.text[:300]


def test_a_packed_body_is_not_unpacked(stack: Stack) -> None:
    bomb = gzip.compress(b'{"model": "' + bytes(64 * 2**20) + b'"}')
    head = post("host: localhost", "content-encoding: gzip", f"content-length: {len(bomb)}")
    received = exchange(stack, head, bomb)
    assert 400 <= int(received[9:12]) < 500, received[:300]
    assert_next_is_served(stack)


def test_the_last_of_two_keys_counts_and_none_is_seen_by_another_part(stack: Stack) -> None:
    doubled = BODY.replace(b'"model": "starter"', b'"model": "nobody", "model": "starter"', 1)
    answer = stack.request(
        "POST", "/v1/chat/completions", content=doubled, headers={"content-type": "application/json"}
    )
    assert answer.status_code in {200, 400}
    hidden = BODY.replace(b'"model": "starter"', b'"model": "starter", "model": "nobody"', 1)
    answer = stack.request("POST", "/v1/chat/completions", content=hidden, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 404}


def test_a_body_that_never_ends_holds_nobody_up(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as slow:
        head = post("host: localhost", f"content-length: {len(BODY)}", f"authorization: Bearer {stack.key}")
        slow.sendall(f"{head}\r\n\r\n".encode() + BODY[:10])
        for _ in range(3):
            assert_next_is_served(stack)
            time.sleep(0.1)
        slow.sendall(BODY[10:])
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
