import hashlib
import re

import pytest

from api.identity.two_factor import recovery


def test_ten_codes_of_80_bits_in_groups() -> None:
    codes = recovery.new_codes()
    assert len(set(codes)) == recovery.COUNT == 10
    assert all(re.fullmatch(r"(?:[0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}", each) for each in codes)
    assert recovery.CHARACTERS * 5 >= 80
    assert len(recovery.ALPHABET) == len(set(recovery.ALPHABET)) == 32


def test_what_is_kept_is_the_sha_256_of_the_letters() -> None:
    code = recovery.new_codes()[0]
    assert recovery.digest_of(code) == hashlib.sha256(code.replace("-", "").encode()).digest()


@pytest.mark.parametrize(
    "typed", ["7K3M-Q0ZT-9HC2-X1VB", "7k3mqozt9hc2xlvb", " 7k3m q0zt 9hc2 xIvb ", "7k3m-qOzt-9hc2-xLvb"]
)
def test_a_code_is_read_as_meant(typed: str) -> None:
    assert recovery.digest_of(typed) == recovery.digest_of("7k3m-q0zt-9hc2-x1vb")


@pytest.mark.parametrize(
    "text", ["", "123456", "7k3m-q0zt-9hc2-x1v", "7k3m-q0zt-9hc2-x1vbb", "7k3m-q0zt-9hc2-x1vu", "é" * 16]
)
def test_what_cannot_be_a_code_has_no_digest(text: str) -> None:
    assert recovery.digest_of(text) is None
