"""Filters: what they mean, and what is none."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.scim.filters import DEEPEST, LONGEST, Both, Compare, Either, Not, Within, matches, parse
from configs.errors import InvalidFilter

READ = {
    'userName eq "bjensen"': Compare("username", "eq", "bjensen"),
    'USERNAME Eq "b \\"j\\" é"': Compare("username", "eq", 'b "j" é'),
    "title pr": Compare("title", "pr"),
    "active eq true": Compare("active", "eq", value=True),
    "active eq False": Compare("active", "eq", value=False),
    "x eq null": Compare("x", "eq", None),
    "x eq 1.5": Compare("x", "eq", 1.5),
    'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"': Compare("username", "sw", "J"),
    'a eq "1" and b eq "2" or c eq "3"': Either(
        (Both((Compare("a", "eq", "1"), Compare("b", "eq", "2"))), Compare("c", "eq", "3"))
    ),
    'a eq "1" and (b eq "2" or c eq "3")': Both(
        (Compare("a", "eq", "1"), Either((Compare("b", "eq", "2"), Compare("c", "eq", "3"))))
    ),
    'not (a eq "1")': Not(Compare("a", "eq", "1")),
    'emails[type eq "work" and value co "@example.com"]': Within(
        "emails", Both((Compare("type", "eq", "work"), Compare("value", "co", "@example.com")))
    ),
    'name.familyName co "O\'Malley"': Compare("name.familyname", "co", "O'Malley"),
    '  a   eq   "(x] and"  ': Compare("a", "eq", "(x] and"),
}


@pytest.mark.parametrize("text", READ)
def test_a_filter_is_read(text: str) -> None:
    assert parse(text) == READ[text]


REFUSED = [
    "", "a", "a eq", 'a eq "x',
    "a eq x", 'a is "x"', 'a gt "x"', '(a eq "x"', 'a eq "x")', 'a eq "x" and', 'and a eq "x"',
    'a eq "x" b eq "y"', 'not a eq "x"', 'a[b eq "x"', 'a[b eq "x")', '"a" eq "x"', "a pr pr", '[a eq "x"]',
    'a eq "\\u0000"', 'a eq "\\ud800"', "x" * (LONGEST + 1), "(" * (DEEPEST + 2) + "a pr" + ")" * (DEEPEST + 2),
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_filter_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidFilter) as raised:
        parse(text)
    assert "a eq" not in raised.value.message


@given(st.text(st.sampled_from('ab"\\()[] .eqpron:\0é'), max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(InvalidFilter):
        parse(text)


WORK = {"type": "work", "value": "One@example.com", "primary": True}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('type eq "WORK"', True), ('type ne "work"', False), ('type ne "home"', True), ('value co "@EXAMPLE"', True),
        ('value sw "one"', True), ('value ew ".com"', True), ("primary eq true", True), ("primary eq false", False),
        ("display pr", False), ("type pr", True), ('type eq "work" and value sw "two"', False),
        ('type eq "home" or value sw "one"', True), ('not (type eq "home")', True), ('display eq "x"', False),
        ("primary co true", False), ('a[b eq "x"]', False),
    ],
)  # fmt: skip
def test_a_filter_on_one_value(text: str, fits: bool) -> None:
    assert matches(parse(text), WORK) == fits
