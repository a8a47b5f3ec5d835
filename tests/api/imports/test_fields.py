from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.imports import fields
from api.imports.records import Unfit
from tests.api.imports.written import BCRYPT

NOON = datetime(2024, 5, 28, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


@pytest.mark.parametrize(
    "value",
    [
        SECONDS, float(SECONDS), str(SECONDS), SECONDS * 10**3, SECONDS * 10**6, SECONDS * 10**9,
        "2024-05-28T12:00:00.000Z", "2024-05-28T14:00:00+02:00", "2024-05-28T12:00:00",
    ],
)  # fmt: skip
def test_a_time_in_any_unit(value: Any) -> None:
    assert fields.moment(value) == NOON


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -1, 10**400, float("nan"), float("inf"), "inf", "soon", "", [], 5e9, "2" * 400,
        "0001-01-01", "9999-12-31T23:59:59-23:59",
    ],
)  # fmt: skip
def test_what_is_no_time(value: Any) -> None:
    assert fields.moment(value) is None


@given(st.one_of(st.integers(), st.floats(), st.text(), st.dates().map(str), st.datetimes().map(str)))
def test_no_value_breaks_the_reading_of_times(value: Any) -> None:
    assert (made := fields.moment(value)) is None or 1970 <= made.year < 2100


@pytest.mark.parametrize("value", [None, "", "a\n", "\x1b[2J", "x" * 201, "\ud800", 1.5, True, [], {}])
def test_what_is_no_id(value: Any) -> None:
    with pytest.raises(Unfit, match="id"):
        fields.identifier(value)
    assert fields.shown(value) == "(no printable name)"


def test_ids() -> None:
    assert fields.identifier("a b-c") == "a b-c"
    assert fields.identifier(7) == "7"
    assert fields.derived_identifier("a", "bc") != fields.derived_identifier("ab", "c")
    assert fields.derived_identifier("\ud800") == fields.derived_identifier("\ud800")


def test_addresses() -> None:
    assert fields.email(" SomeOne@example.com ") == "someone@example.com"
    for value in (
        None,
        3,
        "",
        "nobody",
        "a@b@example.com",
        "a b@example.com",
        "a\0@example.com",
        f"{'a' * 250}@example.com",
    ):
        with pytest.raises(Unfit, match="e-mail"):
            fields.email(value)


def test_only_hashes_that_a_login_can_bear() -> None:
    assert fields.bcrypt_hash(BCRYPT) == BCRYPT
    for value in (None, "", "secret", BCRYPT.replace("$12$", "$31$"), BCRYPT + "a", BCRYPT + "\n", "$argon2id$v=19$x"):
        assert fields.bcrypt_hash(value) is None


def test_names_stand_on_one_line() -> None:
    assert fields.name(" A\nB\0\x1b ") == "A B\ufffd"
    assert fields.name("x" * 300) == "x" * 200
    assert fields.name("\n") is None
    assert fields.title(None) == ""
    assert fields.title("x" * 600) == "x" * 500
