"""Each document as a file: read by the parsers that users' files meet, nothing that a question asks for is lost."""

import pytest

from retrieval.documents import Limits
from retrieval.evaluation.corpus import Source, questions, sources
from retrieval.evaluation.files import WRITERS, as_file, blocks, suffix_of
from retrieval.formats import parse

TEXT = "# Title\n\nA line (with a \\ sign)\nand <one> & more.\n\n```\n# no heading\n```\n\n## Sub\n\nThe end.\n"


@pytest.mark.parametrize("suffix", WRITERS)
def test_what_is_written_is_read(suffix: str) -> None:
    document = parse(WRITERS[suffix](TEXT), f"a.{suffix}", Limits())
    for line in ("Title", "A line (with a \\ sign)", "and <one> & more.", "# no heading", "Sub", "The end."):
        assert line in document.text
    if suffix != "pdf":
        headings = [document.text[block.start : block.end] for block in document.blocks if block.kind == "heading"]
        assert [each.lstrip("# ") for each in headings] == ["Title", "Sub"]


def test_long_texts_have_many_pages_and_lines_that_fit() -> None:
    document = parse(WRITERS["pdf"](" ".join(["word"] * 3000)), "a.pdf", Limits())
    assert document.text.split() == ["word"] * 3000
    assert {block.page for block in document.blocks} == {1, 2, 3}


def test_blocks() -> None:
    assert list(blocks("a\nb\n\n# c\nd")) == [(0, "a\nb"), (1, "c"), (0, "d")]


def test_a_format_holds_the_text_that_it_is_given() -> None:
    names = [Source(f"p{number}", "\u4e2d\x07") for number in range(40)]
    assert {suffix_of(source) for source in names} == {"md", "html"}
    assert {suffix_of(Source(source.package, "a")) for source in names} == set(WRITERS)


def test_answers_survive_in_every_file_and_no_format_is_rare() -> None:
    answering = {question.package for question in questions()}
    read = {}
    for source in sources():
        if source.package in answering:
            name, data = as_file(source)
            read[source.package] = parse(data, name, Limits()).text
    for question in questions():
        if question.package is not None:
            assert question.answered_by(question.package, read[question.package]), question
    suffixes = [suffix_of(source) for source in sources()]
    assert all(suffixes.count(suffix) > 20 for suffix in WRITERS)
