from collections.abc import AsyncIterator

import pytest

from api.headers import DEFAULTS, completed
from tests.fixtures.gated import EVENT, PAGE_POLICY, gated, unobserved
from tests.fixtures.servers import Served, served

SAFE = {name.decode(): value.decode() for name, value in DEFAULTS}
HSTS = "strict-transport-security"


@pytest.fixture
async def front() -> AsyncIterator[Served]:
    async with served(gated(unobserved, trusted_proxies=("127.0.0.1",), allowed_hosts=("a.example.com",))) as at:
        yield at


@pytest.mark.parametrize(
    "path", ["/echo", "/stream", "/nowhere", "/raise/Conflict", "/raise/nothing", "/number/seven", "/raise/%00"]
)
async def test_every_answer_tells_a_browser_how_little_may_be_done_with_it(front: Served, path: str) -> None:
    async with front.http() as client:
        answer = await client.get(path)
        assert {name: answer.headers.get_list(name) for name in SAFE} == {name: [text] for name, text in SAFE.items()}
        assert HSTS not in answer.headers
        refused = await client.get(path, headers={"host": "b.example.com"})
        assert (refused.status_code, refused.headers["x-frame-options"]) == (400, "DENY")


def test_the_policy_lets_nothing_in() -> None:
    policy = SAFE["content-security-policy"]
    assert policy == "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    assert (SAFE["cache-control"], SAFE["x-content-type-options"]) == ("no-store", "nosniff")


async def test_a_routes_own_word_stands(front: Served) -> None:
    async with front.http() as client:
        answer = await client.get("/page")
        assert answer.headers.get_list("content-security-policy") == [PAGE_POLICY]
        assert answer.headers.get_list("cache-control") == ["no-cache"]
        assert answer.headers["x-frame-options"] == "DENY"
    assert completed([(b"referrer-policy", b"origin")]).count((b"referrer-policy", b"no-referrer")) == 0


async def test_a_streams_head_has_them_once_and_its_events_follow(front: Served) -> None:
    async with front.wire() as wire:
        wire.send(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\n\r\n")
        status, headers = await wire.head()
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert headers["x-request-id"] == "mine"
        assert SAFE.items() <= headers.items()
        assert await wire.chunk() == EVENT


async def test_browsers_are_told_to_stay_with_tls_only_over_tls_and_never_for_localhost(front: Served) -> None:
    over_tls = {"x-forwarded-proto": "https"}
    async with front.http() as client:
        for path in ("/echo", "/stream", "/nowhere"):
            answer = await client.get(path, headers={"host": "a.example.com", **over_tls})
            assert answer.headers.get_list(HSTS) == ["max-age=31536000"]
            assert HSTS not in (await client.get(path, headers={"host": "a.example.com"})).headers
            assert HSTS not in (await client.get(path, headers={"host": "localhost", **over_tls})).headers
    async with served(gated(unobserved)) as untrusting, untrusting.http() as client:
        assert HSTS not in (await client.get("/echo", headers=over_tls)).headers
