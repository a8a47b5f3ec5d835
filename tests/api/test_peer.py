from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.peer import FORWARDING, MAX_HEADER_BYTES, MAX_HOPS, Peer, networks_of, peer_of
from tests.fixtures.gated import gated, unobserved
from tests.fixtures.servers import served

TRUSTED = networks_of(("10.0.0.0/8", "127.0.0.1", "fd00::/8"))
PROXY, CLIENT = "10.0.0.1", "192.0.2.7"


def told(*headers: tuple[str, str], client: Any = (PROXY, 1), scheme: str = "http", trusted: Any = TRUSTED) -> Peer:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return peer_of({"client": client, "scheme": scheme, "headers": encoded}, trusted)


def address(*values: str, name: str = "x-forwarded-for") -> str:
    return told(*((name, value) for value in values)).address


@pytest.mark.parametrize(
    ("client", "found"),
    [
        ((CLIENT, 1), CLIENT),
        (("::ffff:192.0.2.7", 1), CLIENT),
        (("fd00::1", 1), "fd00::1"),
        (None, ""),
        (("x", 1), "x"),
    ],
)
def test_without_a_proxy_it_is_the_connections_own(client: Any, found: str) -> None:
    assert told(client=client) == Peer(found, https=False, direct=True)
    assert told(client=client, scheme="https") == Peer(found, https=True, direct=True)


@pytest.mark.parametrize("name", sorted(FORWARDING))
def test_a_stranger_who_forwards_is_believed_nothing_but_that_somebody_stands_between(name: bytes) -> None:
    for header in ("for=1.1.1.1;proto=https", "1.1.1.1", "https"):
        assert told((name.decode(), header), client=(CLIENT, 1)) == Peer(CLIENT, https=False, direct=False)
        assert told((name.decode(), header), trusted=()) == Peer(PROXY, https=False, direct=False)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([CLIENT], CLIENT),
        (["1.1.1.1, 192.0.2.7"], CLIENT),
        (["1.1.1.1", "192.0.2.7"], CLIENT),
        (["1.1.1.1, 192.0.2.7, 10.9.9.9, 10.2.2.2"], CLIENT),
        (["1.1.1.1,192.0.2.7:4711,10.2.2.2:1"], CLIENT),
        (["2001:db8::7, fd00::2"], "2001:db8::7"),
        (["[2001:db8::7]:443"], "2001:db8::7"),
        (["::ffff:192.0.2.7"], CLIENT),
        (["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
    ],
)
def test_the_rightmost_address_that_is_no_trusted_proxy_counts(values: list[str], found: str) -> None:
    assert address(*values) == found


@pytest.mark.parametrize(
    "garbage", ["", " ", "unknown", "_hidden", "999.1.1.1", "a.example.com", "fe80::1%eth0", "1.1.1.1 2.2.2.2", "\xff"]
)
def test_garbage_is_ignored_and_hides_what_stands_left_of_it(garbage: str) -> None:
    assert address(garbage) == PROXY
    assert address(f"{CLIENT}, {garbage}") == PROXY
    assert address(f"{CLIENT}, {garbage}, 10.2.2.2") == "10.2.2.2"
    assert address(f"{garbage}, {CLIENT}") == CLIENT


def test_a_chain_without_end_is_not_followed() -> None:
    assert address(", ".join([CLIENT, *["10.2.2.2"] * (MAX_HOPS - 1)])) == CLIENT
    assert address(", ".join([CLIENT, *["10.2.2.2"] * MAX_HOPS])) == "10.2.2.2"
    assert address(f"{'1' * MAX_HEADER_BYTES}, {CLIENT}") == PROXY


@pytest.mark.parametrize(
    ("addresses", "protos", "https"),
    [
        (CLIENT, "https", True),
        (CLIENT, "HTTPS", True),
        (CLIENT, "http", False),
        (CLIENT, "", False),
        ("192.0.2.7, 10.2.2.2", "https", True),
        ("192.0.2.7, 10.2.2.2", "https, http", True),
        ("192.0.2.7, 10.2.2.2", "http, https", False),
        ("1.1.1.1, 192.0.2.7", "https, http", False),
        (None, "https", True),
        (None, "javascript", False),
    ],
)
def test_the_protocol_is_what_the_outermost_trusted_proxy_saw(addresses: str | None, protos: str, https: bool) -> None:
    named = [("x-forwarded-for", addresses)] if addresses is not None else []
    found = told(*named, ("x-forwarded-proto", protos))
    assert (found.https, found.direct) == (https, False)


def test_without_a_word_about_it_the_connection_tells_the_protocol() -> None:
    assert told(("x-forwarded-for", CLIENT), scheme="https").https
    assert not told(("x-forwarded-for", CLIENT), ("x-forwarded-proto", "http"), scheme="https").https


@pytest.mark.parametrize(
    ("value", "found", "https"),
    [
        ("for=192.0.2.7;proto=https;by=10.0.0.1", CLIENT, True),
        ('For="192.0.2.7:4711"; Proto="http"', CLIENT, False),
        ('for="[2001:db8::7]:4711";proto=https', "2001:db8::7", True),
        ("for=1.1.1.1;proto=http, for=192.0.2.7;proto=https, for=10.2.2.2;proto=http", CLIENT, True),
        ('host="a,b";for=192.0.2.7', CLIENT, False),
        ("for=unknown;proto=https", PROXY, True),
        ("for=_hidden", PROXY, False),
        ("proto=https", PROXY, True),
        ('for="192.0.2.7', PROXY, False),
        (";;,,=", PROXY, False),
    ],
)
def test_forwarded_is_read_as_rfc_7239_writes_it(value: str, found: str, https: bool) -> None:
    assert told(("forwarded", value)) == Peer(found, https, direct=False)


def test_where_the_two_headers_differ_neither_counts() -> None:
    """One is the proxy's, the other came from outside, and nothing tells which."""
    agreed = told(("x-forwarded-for", CLIENT), ("forwarded", f"for={CLIENT}"))
    assert agreed == Peer(CLIENT, https=False, direct=False)
    for forged in ("for=10.2.2.2", "for=1.1.1.1", f"for={CLIENT};proto=https"):
        assert told(("x-forwarded-for", CLIENT), ("forwarded", forged)) == Peer(PROXY, https=False, direct=False)


@given(st.lists(st.tuples(st.sampled_from(sorted(FORWARDING)), st.binary(max_size=80)), max_size=6))
def test_no_header_makes_it_raise_or_local(headers: list[tuple[bytes, bytes]]) -> None:
    found = peer_of({"client": (PROXY, 1), "scheme": "http", "headers": headers}, TRUSTED)
    assert found.address
    assert found.direct == (not headers)


async def test_the_gate_tells_routes_what_the_proxy_said() -> None:
    headers = {"x-forwarded-for": CLIENT, "x-forwarded-proto": "https"}
    for proxies, seen in (
        (("127.0.0.1",), {"address": CLIENT, "scheme": "https"}),
        (("10.0.0.0/8",), {"address": "127.0.0.1", "scheme": "http"}),
        ((), {"address": "127.0.0.1", "scheme": "http"}),
    ):
        async with served(gated(unobserved, trusted_proxies=proxies)) as front, front.http() as client:
            answer = await client.get("/peer", headers=headers)
            assert answer.json() == seen
            assert "strict-transport-security" not in answer.headers or seen["scheme"] == "https"
