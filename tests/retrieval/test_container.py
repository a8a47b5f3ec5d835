"""Archives and what attacks with them."""

import pytest

from retrieval.documents import Limits, Unreadable
from retrieval.formats import parse
from tests.retrieval.parsers.samples import docx, epub, pdf_of, zipped


def refused(data: bytes, filename: str, limits: Limits | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        parse(data, filename, limits or Limits())
    assert caught.value.code == "invalid_file"
    return caught.value.message


def test_a_bomb_is_refused() -> None:
    assert "bomb" in refused(zipped({"a.txt": bytes(40 * 2**20)}), "a.zip")


def test_budgets() -> None:
    assert "members" in refused(zipped({str(n): "a" for n in range(11)}), "a.zip", Limits(members=10))
    assert "unpacks" in refused(zipped({"a": "b" * 99}), "a.zip", Limits(unpacked_bytes=90))


def test_the_budget_is_one_for_all_that_is_packed_in_each_other() -> None:
    nested = zipped({"a.zip": zipped({"a.txt": "a" * 5000}), "b.zip": zipped({"b.txt": "b" * 5000})})
    document = parse(nested, "a.zip", Limits(unpacked_bytes=8000))
    assert "a" * 5000 in document.text
    assert document.notes[0].startswith("b.zip: ")


def test_depth() -> None:
    data = zipped({"a.txt": "a"})
    for _ in range(4):
        data = zipped({"b.zip": data})
    assert "deep" in refused(data, "a.zip")


def test_entities_are_refused() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>'
    assert "entities" in refused(zipped({"word/document.xml": bomb}), "a.docx")


def test_broken_parts_are_refused() -> None:
    assert "not XML" in refused(zipped({"word/document.xml": "<a>"}), "a.docx")
    assert "where its content is" in refused(zipped({"META-INF/container.xml": "<a/>"}), "a.epub")


def test_wrong_suffixes() -> None:
    assert "The plan" in parse(docx().data, "a.pdf", Limits()).text
    assert "It began." in parse(epub().data, "a.zip", Limits()).text


def test_a_locked_pdf() -> None:
    lock = f"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{'11' * 32}>/U<{'22' * 32}>>>"
    assert "password" in refused(pdf_of(["a"], lock), "a.pdf")


def test_a_pdf_of_ten_thousand_pages() -> None:
    assert "10000 pages" in refused(pdf_of(["a"] * 10_000), "a.pdf")
