import pytest

from api.identity.two_factor.relying_party import RelyingParty, relying_party
from configs.errors import PasskeyRefused
from configs.specs import GeneralSettings


def party(host: bytes, public_url: str | None = None, allowed: tuple[str, ...] = ()) -> RelyingParty:
    return relying_party(GeneralSettings(public_url=public_url, allowed_hosts=allowed), host)


def test_the_public_address_decides_whatever_the_host_says() -> None:
    made = party(b"localhost:8000", "https://A.example.com")
    assert (made.id, made.origins) == ("a.example.com", ("https://a.example.com",))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.example.com:443", "https://a.example.com"),
        ("https://a.example.com:8443", "https://a.example.com:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert party(b"", url).origins == (origin,)


def test_configured_names_below_the_domain_may_use_its_passkeys() -> None:
    allowed = ("a.example.com", "example.com", "badexample.com", "other.example")
    assert party(b"", "https://example.com", allowed).origins == ("https://example.com", "https://a.example.com")


def test_localhost_needs_no_setting() -> None:
    made = party(b"LocalHost:8000")
    assert (made.id, made.origins) == ("localhost", ("http://localhost:8000", "https://localhost:8000"))
    assert party(b"localhost").origins == ("http://localhost", "https://localhost")


def test_a_configured_name_is_taken_over_https_only() -> None:
    made = party(b"a.example.com:8443", allowed=("A.example.com",))
    assert (made.id, made.origins) == ("a.example.com", ("https://a.example.com:8443",))


@pytest.mark.parametrize("host", [b"127.0.0.1:8000", b"[::1]:8000", b"b.example.com", b"", b"localhost.example.com"])
def test_other_names_and_addresses_have_no_passkeys(host: bytes) -> None:
    with pytest.raises(PasskeyRefused, match="public_url"):
        party(host, allowed=("a.example.com", "127.0.0.1"))


@pytest.mark.parametrize("url", ["http://a.example.com", "https://127.0.0.1", "https://[::1]:8443"])
def test_a_public_address_without_https_or_domain_has_none(url: str) -> None:
    with pytest.raises(PasskeyRefused, match="https"):
        party(b"localhost", url)
