"""PDFs: text by page, locks, and what is broken."""

import pytest

from retrieval.documents import Document, Limits, Unreadable
from retrieval.evaluation import files
from retrieval.formats import parse
from tests.retrieval.parsers.samples import pdf, pdf_of
from tests.retrieval.parsers.test_contract import document_or_not


def read(data: bytes, filename: str = "a.pdf", limits: Limits | None = None) -> Document:
    return parse(data, filename, limits or Limits())


def refused(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        read(data, limits=limits)
    assert caught.value.code == "invalid_file"
    return caught.value.message


def test_pages_and_the_title() -> None:
    document = read(pdf().data)
    assert document.title == "Two pages"
    assert [(piece.text, piece.page) for piece in document.pieces()] == [("First page café", 1), ("Second page", 2)]


def test_pages_without_text_keep_the_numbers_of_the_others() -> None:
    assert [block.page for block in read(pdf_of(["one", "", "three"])).blocks] == [1, 3]


def test_a_word_that_a_line_end_parts_is_one_word() -> None:
    document = read(files.pdf("An exam-\nple of a word.\nAnd a dash -\nhere."))
    assert "\x02" not in document.text
    assert "An example of a word." in document.text


def test_bytes_before_the_head_and_a_table_of_places_that_is_wrong() -> None:
    data = pdf_of(["words"])
    assert read(b"\r\n\0junk\n" + data, "download").text == "words"
    assert read(data.replace(b"startxref\n", b"startxref\n9")).text == "words"


@pytest.mark.parametrize("name", ["notes.md", "notes.txt", "pdf.py", "notes"])
def test_a_text_about_pdf_is_text(name: str) -> None:
    text = "A file begins with `%PDF-1.7` and has objects (`1 0 obj`).\n"
    assert read(text.encode(), name).text.strip() == text.strip()


def test_a_page_with_a_whole_pdf_as_its_example_is_text() -> None:
    page = b"# PDF\n\n```\n" + pdf_of(["words"]) + b"\n```\n"
    assert read(page, "notes.md").title == "PDF"
    assert read(b"%PDF-compatible\n\\documentclass{article}", "a.tex").text.startswith("%PDF-compatible")


def test_a_file_that_was_cut() -> None:
    data = pdf_of([f"page {number}" for number in range(20)])
    for share in (0.2, 0.6, 0.9, 0.99):
        document_or_not(data[: int(share * len(data))], "a.pdf", Limits())


def test_a_scan_says_that_it_needs_text_recognition() -> None:
    assert "OCR" in refused(pdf_of([""]))


def test_a_locked_one_and_too_many_pages() -> None:
    lock = f"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{'11' * 32}>/U<{'22' * 32}>>>"
    assert "password" in refused(pdf_of(["a"], lock))
    assert "3 pages" in refused(pdf_of(["a"] * 3), Limits(pages=2))
    assert "characters" in refused(pdf_of(["many words"] * 3), Limits(text_characters=12))


def test_pages_that_name_themselves_as_their_parent() -> None:
    data = pdf_of(["words"]).replace(b"/Kids[4 0 R]", b"/Kids[2 0 R]")
    assert refused(data)


def test_what_is_called_a_pdf_and_is_none() -> None:
    assert read(b"plain words").text == "plain words"
    assert "broken" in refused(b"%PDF-1.7\nobj nothing")
