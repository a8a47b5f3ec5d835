import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.citations import MOST, STEM, Citation, Citing, sentences, stems
from agent.sources import Source, sources_of
from retrieval.terms import terms
from tests.agent.passages import Found, cut

HANDBOOK = (
    "Leave\n\nEvery employee has 30 days of leave a year. Unused days lapse at the end of March. "
    "Sick days do not count.\n\nTravel\n\nTrains are booked in second class. Flights need the consent of a manager."
)
PRICES = "Das Porto beträgt 1,80 Euro. Ein Paket kostet 5,49 Euro."
SOURCES = sources_of(
    [
        Found(HANDBOOK[60:], 60, page=2, chunk_id=8),
        Found(PRICES, file_id="file-2", filename="preise.txt"),
        Found(HANDBOOK[:100], page=1, chunk_id=7),
    ]
)
DOCUMENTS = {"file-1": HANDBOOK, "file-2": PRICES}
PIECES = st.lists(
    st.sampled_from(["[1]", "[2]", "[1, 2]", "[3]", " ", "\n", ". ", "leave", "Paket 5,49", "`", "```", "[", "]", "1"]),
    max_size=40,
)


def cited(answer: str, sources: list[Source] = SOURCES) -> list[Citation]:
    citing = Citing(sources)
    citing.add(answer)
    return citing.citations()


def test_each_marker_quotes_the_sentence_that_its_claim_rests_on() -> None:
    answer = "You have 30 days a year [1]. What is left lapses in March.[1] A parcel (Paket) is 5,49 Euro [2]."
    found = cited(answer)
    assert [answer[each.start : each.end] for each in found] == ["[1]", "[1]", "[2]"]
    assert [each.quote for each in found] == [
        "Every employee has 30 days of leave a year.",
        "Unused days lapse at the end of March.",
        "Ein Paket kostet 5,49 Euro.",
    ]
    assert [each.passage.chunk_id for each in found] == [7, 7, 1]


def test_a_marker_that_begins_a_line_belongs_to_what_follows() -> None:
    found = cited("From the handbook:\n[1] Flights need a manager's consent.\n[1] Trains are second class.")
    assert [each.quote for each in found] == [
        "Flights need the consent of a manager.",
        "Trains are booked in second class.",
    ]
    assert [(each.passage.chunk_id, each.page) for each in found] == [(8, 2), (8, 2)]


@pytest.mark.parametrize(
    ("quote", "page"),
    [
        ("Every employee has 30 days of leave a year.", 1), ("Sick days do not count.", 2),
        ("Trains are booked in second class.", 3),
    ],
)  # fmt: skip
def test_a_quote_is_on_the_page_on_which_it_stands(quote: str, page: int) -> None:
    sick, travel = HANDBOOK.index("Sick"), HANDBOOK.index("Travel")
    long = Found(HANDBOOK, page=1, chunk_id=1, pages=((sick, 2), (travel, 3)))
    within = Found(HANDBOOK[20:60], 20, page=1, chunk_id=2)  # holds neither of the two
    for passages in ([long], [long, within], [long, Found(HANDBOOK[travel:], travel, page=3, chunk_id=3)]):
        (found,) = cited(f"{quote} [1]", sources_of(passages))
        assert (found.quote, found.page) == (quote, page)


def test_one_marker_of_several_numbers_is_a_citation_of_each() -> None:
    found = cited("Leave is 30 days and a parcel costs 5,49 Euro [1, 2, 2, 7].")
    assert [(each.source.number, each.start) for each in found] == [(1, 46), (2, 46)]
    assert found[1].quote == "Ein Paket kostet 5,49 Euro."


@pytest.mark.parametrize(
    "answer",
    [
        "", "No numbers.", "Nobody [3] is [0] there [10].", "In [2024].", "`list[1]`", "```\na[1]\nb[2]", "[1](x)",
        "[ 1 ]",
    ],
)  # fmt: skip
def test_what_points_to_no_source_stays_text(answer: str) -> None:
    assert cited(answer) == []


def test_a_claim_in_other_words_quotes_the_passage() -> None:
    (found,) = cited("Vacances: trente jours [2].")
    assert (found.quote, found.quote_start) == (PRICES, 0)
    (found,) = cited("[2]")
    assert found.quote == PRICES


def test_a_model_that_repeats_itself_is_cut() -> None:
    assert len(cited("[1]" * 5000)) == MOST


def test_nothing_is_cited_without_sources() -> None:
    assert cited("Thirty [1].", []) == []


@given(PIECES, st.randoms())
def test_pieces_give_what_the_whole_gives_and_offsets_slice_to_the_quote(pieces: list[str], random: object) -> None:
    citing = Citing(SOURCES)
    for piece in pieces:
        citing.add(piece)
    answer = "".join(pieces)
    found = citing.citations()
    assert found == cited(answer)
    for each in found:
        assert DOCUMENTS[each.passage.file_id][each.quote_start : each.quote_end] == each.quote
        assert each.quote
        assert str(each.source.number) in answer[each.start : each.end]


@given(st.text(max_size=300), st.integers(0, 100), st.text(max_size=80))
def test_any_text_is_quoted_by_its_place(text: str, at: int, claim: str) -> None:
    document = "x" * at + text + "y"
    sources = sources_of(cut(document, (at, len(document))))
    for each in cited(f"{claim} [1] {claim}[1]", sources):
        assert document[each.quote_start : each.quote_end] == each.quote


@given(st.text(max_size=300))
def test_sentences_hold_everything_but_space(text: str) -> None:
    place = 0
    for start, end in sentences(text):
        assert not text[place:start].strip()
        assert text[start:end].strip() == text[start:end]
        place = end
    assert not text[place:].strip()


@given(st.text(st.characters(max_codepoint=127), max_size=200))
def test_the_short_way_for_ascii_leads_to_the_same(text: str) -> None:
    assert stems(text) == {term[:STEM] for term in terms(text)}
