"""PostgreSQL and Valkey, killed, frozen and flushed: known people go on."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import valkey

from configs.cluster import Cluster
from configs.datadir import Layout
from tests.faults.streams import RawStream
from tests.faults.test_engine import ask
from tests.fixtures.members import Member, registered
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.faults

HEAL_S = 60


@pytest.mark.parametrize("part", ["postgres", "valkey"])
def test_streams_go_on_and_the_store_comes_back(own_stack: Stack, part: str) -> None:
    made = own_stack.request("POST", "/api/keys", json={"name": f"before {part}"}).json()
    stream = RawStream(own_stack, tokens=3000).read_until(b'"content"')
    old = own_stack.kill(part)
    assert ask(own_stack) in {"stop", "length"}
    assert b"[DONE]" in stream.read_to_close()
    own_stack.until(lambda: any(process.pid != old for process in own_stack.processes(part)), HEAL_S)
    own_stack.wait_ready(("starter",))
    listed = own_stack.get("/api/keys").json()["data"]
    assert made["id"] in [key["id"] for key in listed]
    assert own_stack.sdk(api_key=made["key"]).models.list().data


@contextmanager
def frozen(stack: Stack, part: str) -> Iterator[None]:
    (server, *_) = stack.processes(part)
    everything = [server, *server.children(recursive=True)]
    for process in everything:
        process.suspend()
    try:
        yield
    finally:
        for process in everything:
            if process.is_running():
                process.resume()


def chats(member: Member) -> bool:
    body = {"model": "starter", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    return member.request("POST", "/v1/chat/completions", json=body).status_code == 200


@pytest.mark.parametrize("part", ["postgres", "valkey"])
def test_known_people_go_on_while_a_store_is_frozen(own_stack: Stack, part: str) -> None:
    member = registered(own_stack, f"frozen-{part}")
    assert chats(member)
    stream = member.stream(tokens=1500)
    with frozen(own_stack, part):
        assert chats(member)
        stranger = own_stack.request("GET", "/v1/models", headers={"authorization": "Bearer sk-" + "x" * 43})
        if part == "postgres":
            assert (stranger.status_code, "retry-after" in stranger.headers) == (503, True)
        else:
            assert stranger.status_code == 401
        assert b"[DONE]" in stream.read_to_close()
    own_stack.until(lambda: own_stack.get("/api/keys").status_code == 200, HEAL_S)
    made = member.request("POST", "/api/conversations", json={"title": "after"})
    assert made.status_code == 201, made.text


def test_a_flushed_valkey_forgets_nobody(own_stack: Stack) -> None:
    member = registered(own_stack, "flushed")
    url = Cluster.read(Layout(own_stack.data_dir).cluster).redis_url.get_secret_value()
    with valkey.from_url(url) as store:  # type: ignore[no-untyped-call]
        assert store.flushall()
    assert chats(member)
    assert registered(own_stack, "after-the-flush").request("GET", "/api/auth/me").status_code == 200
