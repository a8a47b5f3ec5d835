import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.terms import LONGEST, folded, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Quick-brown fox_jumps", ["the", "quick", "brown", "fox", "jumps"]),
        ("STRASSE straße ﬁn", ["strasse", "strasse", "fin"]),
        ("don’t 'quoted' rock'n'roll", ["don't", "quoted", "rock'n'roll"]),
        ("v1.2 costs 3,50 €", ["v1", "2", "costs", "3", "50"]),
        ("東京都に住む", ["東京", "京都", "都に", "に住", "住む"]),
        ("犬 and カタカナ語", ["犬", "and", "カタ", "タカ", "カナ", "ナ語"]),
        ("한국어를", ["한국", "국어", "어를"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("PDF版", ["pdf", "版"]),
        ("", []),
        ("-- ... ''", []),
    ],
)
def test_words_are_found_in_many_scripts(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@given(text=st.text())
def test_terms_are_short_and_none_is_empty_or_holds_white_space(text: str) -> None:
    assert all(term and len(term) <= LONGEST and not any(map(str.isspace, term)) for term in terms(text))


@given(text=st.text())
def test_spellings_that_are_one_give_the_same_terms(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert terms(folded(text)) == terms(text)


@given(parts=st.lists(st.text(), max_size=4))
def test_a_text_has_the_terms_of_its_lines(parts: list[str]) -> None:
    assert terms("\n".join(parts)) == [term for part in parts for term in terms(part)]


@given(text=st.text(st.characters(max_codepoint=127)))
def test_plain_text_has_the_terms_that_it_would_have_among_others(text: str) -> None:
    assert terms(text) == terms(f"{text} é")[:-1]
