import pytest

from api.hosts import Hosts, is_address, name_of
from configs.errors import BadRequest
from configs.specs import GeneralSettings

FOREIGN = b"a.example.com"


def hosts(host: str, public_url: str | None = None, allowed: tuple[str, ...] = ()) -> Hosts:
    return Hosts.of(GeneralSettings(host=host, public_url=public_url, allowed_hosts=allowed))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_loopback_port_answers_to_local_names_only(host: str) -> None:
    for name in (b"localhost", b"localhost:80", b"127.0.0.1", b"[::1]:80", b""):
        hosts(host).check(name)
    with pytest.raises(BadRequest, match="allowed_hosts"):
        hosts(host).check(FOREIGN)


def test_an_open_port_without_names_answers_to_any() -> None:
    hosts("0.0.0.0").check(FOREIGN)


def test_configured_names_are_the_only_ones() -> None:
    for configured in (
        hosts("0.0.0.0", public_url="https://A.example.com:8443"),
        hosts("::", allowed=("A.Example.com",)),
    ):
        configured.check(FOREIGN + b":8443")
        configured.check(b"A.EXAMPLE.COM")
        with pytest.raises(BadRequest):
            configured.check(b"b.example.com")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"Localhost:80", "localhost"), (b" a ", "a"), (b"[::1]:80", "::1"), (b"[::1]", "::1"), (b"", ""),
        (b"\xff", "ÿ"), (b"a:b:c", "a"),
    ],
)  # fmt: skip
def test_a_name_is_read_without_its_port(header: bytes, name: str) -> None:
    assert name_of(header) == name


@pytest.mark.parametrize(
    ("name", "is_one"), [("127.0.0.1", True), ("::1", True), ("1.2.3", False), ("a", False), ("", False)]
)
def test_an_address_is_told_from_a_name(name: str, is_one: bool) -> None:
    assert is_address(name) == is_one
