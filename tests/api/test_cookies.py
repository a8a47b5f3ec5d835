"""Cookies are found among whatever else a browser sends."""

from typing import Any

import pytest

from api.cookies import binding_of, refresh_of


def scope(*headers: str, scheme: str = "http") -> dict[str, Any]:
    return {"scheme": scheme, "headers": [(b"host", b"x"), *((b"cookie", each.encode("latin-1")) for each in headers)]}


BESIDE = {
    "alone": ["manta_refresh=a.b-c_d"],
    "JSON": ['prefs={"a":1}; manta_refresh=a.b-c_d'],
    "quotes": ['x="; manta_refresh=a.b-c_d'],
    "no name": ["=1;;flag; manta_refresh=a.b-c_d; y"],
    "other letters": ["naïve=é; manta_refresh=a.b-c_d"],
    "names like it": ["xmanta_refresh=1; manta_refreshx=2; MANTA_REFRESH=3; manta_refresh=a.b-c_d"],
    "no space": ["a=b;manta_refresh=a.b-c_d;c=d"],
    "two headers": ["a=b", "manta_refresh=a.b-c_d"],
    "an empty one": ["manta_refresh=; manta_refresh=a.b-c_d"],
}


@pytest.mark.parametrize("headers", BESIDE.values(), ids=BESIDE.keys())
def test_ours_is_found_beside_others(headers: list[str]) -> None:
    assert refresh_of(scope(*headers)) == "a.b-c_d"


def test_a_value_may_hold_the_sign_that_ends_a_name() -> None:
    assert refresh_of(scope("manta_refresh=a=b==")) == "a=b=="


def test_what_is_not_there_is_not_found() -> None:
    for headers in ([], ["a=b"], ["manta_refresh"], ["manta_refresh="], ["a=manta_refresh=x"]):
        assert refresh_of(scope(*headers)) is None


def test_over_tls_only_a_cookie_of_this_host_counts() -> None:
    planted, own = "manta_refresh=planted", "__Host-manta_refresh=own"
    assert refresh_of(scope(f"{planted}; {own}", scheme="https")) == "own"
    assert refresh_of(scope(planted, scheme="https")) is None
    assert refresh_of(scope(own)) is None
    assert binding_of(scope("manta_sign_in=planted", scheme="https")) is None
