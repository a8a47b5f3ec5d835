import re
from base64 import b32decode, b32encode
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pyotp
import pytest

from api.identity.two_factor import totp

RFC_SECRET = b32encode(b"12345678901234567890").decode()
"""Of RFC 6238, appendix B; its codes have 8 digits, of which an app shows the last 6."""
RFC_CODES = {59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037"}
NOW = 1_800_000_000.0
STEP = int(NOW) // 30


def code(secret: str, step: int) -> str:
    return pyotp.TOTP(secret).generate_otp(step)


@pytest.mark.parametrize(("now", "expected"), RFC_CODES.items())
def test_the_codes_of_the_rfc_are_taken(now: int, expected: str) -> None:
    assert totp.verify(RFC_SECRET, expected, 0, now) == now // 30


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_clock_may_be_one_step_off(offset: int) -> None:
    secret = totp.new_secret()
    assert totp.verify(secret, code(secret, STEP + offset), 0, NOW) == STEP + offset


@pytest.mark.parametrize("offset", [-3, -2, 2, 3])
def test_but_not_two(offset: int) -> None:
    assert totp.verify(RFC_SECRET, code(RFC_SECRET, STEP + offset), 0, NOW) is None


def test_each_step_counts_once_and_never_backwards() -> None:
    secret = totp.new_secret()
    used = totp.verify(secret, code(secret, STEP), 0, NOW)
    assert used == STEP
    assert totp.verify(secret, code(secret, STEP), used, NOW + 29) is None
    assert totp.verify(secret, code(secret, STEP - 1), used, NOW) is None
    assert totp.verify(secret, code(secret, STEP + 1), used, NOW) == STEP + 1


def test_the_last_seconds_of_a_step_belong_to_it() -> None:
    assert totp.verify(RFC_SECRET, code(RFC_SECRET, STEP), 0, (STEP + 1) * 30 - 0.001) == STEP


def test_the_first_step_has_none_before_it() -> None:
    assert totp.verify(RFC_SECRET, code(RFC_SECRET, 1), 0, 3.0) == 1


def test_people_write_codes_in_groups() -> None:
    written = code(RFC_SECRET, STEP)
    assert totp.verify(RFC_SECRET, f" {written[:3]} {written[3:]} ", 0, NOW) == STEP
    assert totp.verify(RFC_SECRET, f"{written[:3]}-{written[3:]}", 0, NOW) == STEP


ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
NO_CODES = ["", "12345", "1234567", "abcdef", "12345６", "-12345", "1e5", "\0" * 6, "9" * 100_000]


@pytest.mark.parametrize("text", NO_CODES, ids=range(len(NO_CODES)))
def test_what_is_no_code_is_none(text: str) -> None:
    assert totp.verify(RFC_SECRET, text, 0, NOW) is None
    assert not totp.is_code(text)


def test_digits_of_another_script_are_not_taken() -> None:
    assert totp.verify(RFC_SECRET, code(RFC_SECRET, STEP).translate(ARABIC), 0, NOW) is None


def test_another_secret_gives_other_codes() -> None:
    secrets = {totp.new_secret() for _ in range(20)}
    assert len(secrets) == 20
    assert {len(b32decode(each)) for each in secrets} == {20}


def test_an_app_reads_the_address() -> None:
    uri = totp.provisioning_uri(RFC_SECRET, "ada:l@example.com", "Manta: a b&c")
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    issuer, _, account = unquote(parts.path).lstrip("/").partition(":")
    assert (issuer, account) == ("Manta  a b&c", "ada l@example.com")
    assert parse_qs(parts.query) == {"secret": [RFC_SECRET], "issuer": ["Manta  a b&c"]}
    again = pyotp.parse_uri(uri)
    assert isinstance(again, pyotp.TOTP)
    assert again.at(NOW) == code(RFC_SECRET, STEP)


def test_the_picture_is_one_svg_element_that_loads_and_runs_nothing() -> None:
    svg = totp.picture(totp.provisioning_uri(totp.new_secret(), "a" * 200 + "@example.com", "Manta"))
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("/svg}svg")
    assert {each.tag.rpartition("}")[2] for each in root.iter()} == {"svg", "g", "path"}
    assert not re.search(r"<\?|script|style|href|url\(", svg)
