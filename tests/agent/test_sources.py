from hypothesis import given
from hypothesis import strategies as st

from agent.sources import sources_of
from tests.agent.passages import Found, cut

DOCUMENT = "".join(chr(ord("a") + number % 26) for number in range(200))
SPANS = st.tuples(st.integers(0, 190), st.integers(1, 60)).map(lambda each: (each[0], min(200, each[0] + each[1])))


def test_chunks_that_overlap_are_one_source_where_the_best_of_them_stood() -> None:
    found = [*cut(DOCUMENT, (50, 80)), *cut(DOCUMENT, (0, 10), file_id="file-2"), *cut(DOCUMENT, (70, 100), (120, 130))]
    sources = sources_of(found)
    assert [(each.number, each.first.file_id, each.start, each.end) for each in sources] == [
        (1, "file-1", 50, 100), (2, "file-2", 0, 10), (3, "file-1", 120, 130),
    ]  # fmt: skip
    assert sources[0].text == DOCUMENT[50:100]
    assert [each.start for each in sources[0].passages] == [50, 70]


def test_a_chunk_that_bridges_two_joins_all_three() -> None:
    (source,) = sources_of(cut(DOCUMENT, (0, 10), (20, 30), (5, 25)))
    assert (source.number, source.text) == (1, DOCUMENT[:30])
    assert [each.chunk_id for each in source.passages] == [1, 3, 2]


def test_what_does_not_agree_where_it_overlaps_stays_apart() -> None:
    assert len(sources_of([Found("abcdef"), Found("XXef", 3)])) == 2


def test_a_part_of_the_document_is_found_in_the_chunk_that_begins_nearest() -> None:
    (source,) = sources_of(cut(DOCUMENT, (0, 40), (20, 60)))
    places = ((0, 10), (25, 35), (45, 50), (10, 45))
    assert [source.passage_at(*place).chunk_id for place in places] == [1, 2, 2, 1]


@given(st.lists(st.tuples(SPANS, st.sampled_from(["file-1", "file-2"])), max_size=12))
def test_every_source_is_a_part_of_its_document_and_nothing_is_there_twice(
    found: list[tuple[tuple[int, int], str]],
) -> None:
    passages = [cut(DOCUMENT, span, file_id=file_id)[0] for span, file_id in found]
    sources = sources_of(passages)
    assert [each.number for each in sources] == list(range(1, len(sources) + 1))
    seen: set[tuple[str, int]] = set()
    for source in sources:
        assert source.text == DOCUMENT[source.start : source.end]
        places = {(source.first.file_id, place) for place in range(source.start, source.end)}
        assert not places & seen
        seen |= places
    assert seen == {(each.file_id, at) for each in passages for at in range(each.start, each.start + len(each.text))}
    assert sum(len(each.passages) for each in sources) == len(passages)
    assert not passages or sources[0].passage_at(passages[0].start, passages[0].start + len(passages[0].text))
