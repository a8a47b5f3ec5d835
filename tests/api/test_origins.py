from typing import Any

import pytest

from api.origins import Origins
from configs.errors import Forbidden
from configs.specs import GeneralSettings
from tests.fixtures.gated import gated, unobserved
from tests.fixtures.servers import served

OWN, ALLOWED, FOREIGN = "https://a.example.com", "https://pages.example.com", "https://evil.example.com"
SETTINGS: dict[str, Any] = {"public_url": OWN, "allowed_origins": (ALLOWED,), "allowed_hosts": ("b.example.com",)}
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}


def check(scheme: str = "http", **headers: str) -> None:
    encoded = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    Origins.of(GeneralSettings(**SETTINGS)).check({"scheme": scheme, "headers": encoded})


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (OWN, "127.0.0.1:8000"),
        ("HTTPS://A.Example.com", "127.0.0.1:8000"),
        (f"{OWN}:443", "127.0.0.1:8000"),
        (ALLOWED, "a.example.com"),
        ("http://b.example.com", "b.example.com"),
        ("http://b.example.com", "B.example.com:80"),
        ("http://b.example.com:80", "b.example.com"),
        ("https://b.example.com", "b.example.com:443"),
        ("http://localhost:8000", "localhost:8000"),
        ("https://b.example.com:8443", "b.example.com:8443"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_pages_of_ours_and_of_named_sites_may_use_the_cookie(origin: str, host: str) -> None:
    check(origin=origin, host=host)
    check(origin=origin, host=host, sec_fetch_site="cross-site")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (FOREIGN, "a.example.com"),
        ("http://a.example.com", "127.0.0.1:8000"),
        ("http://b.example.com:8001", "b.example.com:8000"),
        ("http://b.example.com:443", "b.example.com"),
        ("https://b.example.com.evil.example.com", "b.example.com"),
        ("https://me@b.example.com", "b.example.com"),
        ("null", "a.example.com"),
        ("null", ""),
        ("file://", ""),
        ("http://[", "["),
        ("https://", ""),
        ("chrome-extension://b.example.com", "b.example.com"),
        ("\xff", "\xff"),
    ],
)
def test_other_pages_may_not(origin: str, host: str) -> None:
    for more in ({}, {"sec_fetch_site": "same-origin"}):
        with pytest.raises(Forbidden, match="another site"):
            check(origin=origin, host=host, **more)


def test_a_page_without_tls_does_not_speak_for_one_with_it() -> None:
    check(scheme="https", origin="https://b.example.com", host="b.example.com")
    with pytest.raises(Forbidden):
        check(scheme="https", origin="http://b.example.com", host="b.example.com")


def test_who_does_not_say_from_where_is_refused_but_a_browsers_word_for_its_own_page_counts() -> None:
    check(host="a.example.com", sec_fetch_site="same-origin")
    for word in ({}, {"sec_fetch_site": "same-site"}, {"sec_fetch_site": "none"}, {"sec_fetch_site": "cross-site"}):
        with pytest.raises(Forbidden, match="Origin"):
            check(host="a.example.com", **word)


async def test_only_pages_of_named_sites_may_read_answers() -> None:
    async with served(gated(unobserved, **SETTINGS)) as front, front.http() as client:
        for path in ("/echo", "/stream", "/nowhere"):
            answer = await client.get(path, headers={"origin": ALLOWED})
            assert answer.headers["access-control-allow-origin"] == ALLOWED
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert "x-request-id" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "origin"
            for headers in ({"origin": FOREIGN}, {"origin": OWN}, {"origin": "null"}, {}):
                answer = await client.get(path, headers=headers)
                assert not [name for name in answer.headers if name.startswith("access-control-")]
                assert answer.headers["vary"] == "origin"


async def test_a_browser_that_asks_first_is_told_yes_for_named_sites_only() -> None:
    async with served(gated(unobserved, **SETTINGS)) as front, front.http() as client:
        answer = await client.options("/nowhere", headers={"origin": ALLOWED, **PREFLIGHT})
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == ALLOWED
        assert "DELETE" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
        assert answer.headers["x-request-id"]
        for headers in ({"origin": FOREIGN, **PREFLIGHT}, {"origin": OWN, **PREFLIGHT}, PREFLIGHT, {"origin": ALLOWED}):
            answer = await client.options("/echo", headers=headers)
            assert answer.status_code == 405
            assert "access-control-allow-methods" not in answer.headers
        odd = {**PREFLIGHT, "origin": ALLOWED, "access-control-request-headers": "a;b"}
        assert "access-control-allow-headers" not in (await client.options("/echo", headers=odd)).headers
        other = {**PREFLIGHT, "origin": ALLOWED, "host": "evil.example.com"}
        assert (await client.options("/echo", headers=other)).status_code == 400


async def test_without_named_sites_nothing_is_said() -> None:
    async with served(gated(unobserved)) as front, front.http() as client:
        for answer in (
            await client.get("/echo", headers={"origin": ALLOWED}),
            await client.options("/echo", headers={"origin": ALLOWED, **PREFLIGHT}),
        ):
            assert "vary" not in answer.headers
            assert not [name for name in answer.headers if name.startswith("access-control-")]
