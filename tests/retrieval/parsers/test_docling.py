"""docling's files, with a double of docling in an interpreter of its own (tests/fixtures/docling_double.py)."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from configs.specs import Configuration
from retrieval.documents import Docling, Document, Limits, Unreadable
from retrieval.formats import choose, formats, parse
from retrieval.parsers import docling as parser
from retrieval.reader import limits_of
from retrieval.reading import Reader
from tests.fixtures import docling_double
from tests.fixtures.docling_double import picture, said
from tests.fixtures.reading import find_code
from tests.retrieval.parsers.samples import docling, pdf, pdf_of, zipped

WORDS = {"label": "text", "text": "Words."}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    find_code(tmp_path, monkeypatch)
    parser.program(docling_double.setting().python).close()
    yield
    parser.program(docling_double.setting().python).close()


def limits(**changes: object) -> Limits:
    return replace(Limits(), docling=replace(docling_double.setting(), **changes))  # type: ignore[arg-type]


def read(data: bytes, filename: str = "scan.png", allowed: Limits | None = None) -> Document:
    return parse(data, filename, allowed or limits())


def refused(data: bytes, filename: str = "scan.png", allowed: Limits | None = None) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(data, filename, allowed)
    return caught.value


def test_structure_and_pages() -> None:
    document = read(docling().data)
    assert [(block.kind, block.level, block.page) for block in document.blocks] == [
        ("heading", 1, 1), ("text", 0, 1), ("heading", 2, 2), ("text", 0, 2), ("table", 0, 2),
    ]  # fmt: skip


def test_a_cell_that_spans_two_columns_stands_where_it_begins() -> None:
    table = {"label": "table", "grid": [["both", "both"], ["a", "b"]]}
    assert read(picture([table])).text == "both |\na | b"


def test_code_formulas_marks_and_words_in_pictures() -> None:
    items: list[dict[str, Any]] = [
        {"label": "code", "text": "x = 1"},
        {"label": "formula", "text": "", "orig": "E = m c"},
        {"label": "list_item", "text": "b", "marker": "2."},
        {"label": "picture", "page": 0},
        {"label": "caption", "text": "Fig. 1", "page": 0},
    ]
    document = read(picture(items))
    assert [(piece.kind, piece.text, piece.page) for piece in document.pieces()] == [
        ("code", "x = 1", 1), ("code", "E = m c", 1), ("text", "2. b", 1), ("text", "Fig. 1", None),
    ]  # fmt: skip


def test_pdfs_are_its_own_where_it_is_set_up_and_only_there() -> None:
    data = pdf_of(["First page"], f"\n%{said([WORDS]).decode()}\n", "One page")
    assert choose(data, "a.pdf", limits()) is formats()["docling"]
    assert choose(data, "a.pdf", Limits()) is formats()["pdf"]
    document = read(data, "a.pdf")
    assert (document.title, document.text) == ("One page", "Words.")
    assert "First page" in read(data, "a.pdf", Limits()).text


def test_a_scan_without_it_says_what_is_missing() -> None:
    assert refused(picture([WORDS]), "scan.png", Limits()).code == "unsupported_file"


@pytest.mark.parametrize(
    ("start", "suffix"),
    [
        (b"\x89PNG\r\n\x1a\n", ".png"), (b"\xff\xd8\xff\xe0", ".jpg"), (b"II*\0", ".tiff"), (b"MM\0*", ".tiff"),
        (b"RIFF\1\2\3\4WEBP", ".webp"), (b"BM" + bytes(12) + b"\x28\0\0\0", ".bmp"), (b"RIFF\1\2\3\4WAVE", None),
        (b"BM is text", None), (b"words", None),
    ],
)  # fmt: skip
def test_pictures_are_known_by_how_they_begin(start: bytes, suffix: str | None) -> None:
    assert parser._suffix(start) == suffix
    if suffix is not None:
        assert read(start + said([WORDS]), "no-name").text == "Words."


def test_members_of_an_archive_too() -> None:
    document = read(zipped({"scan.png": picture([WORDS]), "bad.png": docling_double.PNG}), "a.zip")
    assert document.text == "scan.png\n\nWords."
    assert document.notes[0].startswith("bad.png: ")


def test_pages_that_are_lost_are_named() -> None:
    assert read(picture([WORDS], lost=[3, 2, 3])).notes == ("Page 2 could not be read.", "Page 3 could not be read.")


def test_what_pdfs_are_refused_for_is_seen_before_docling() -> None:
    lock = f"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{'11' * 32}>/U<{'22' * 32}>>>"
    assert "password" in refused(pdf_of(["a"], lock) + said([WORDS]), "a.pdf").message
    assert "3 pages" in refused(pdf_of(["a"] * 3) + said([WORDS]), "a.pdf", replace(limits(), pages=2)).message
    assert parser.program(docling_double.setting().python)._child is None


@pytest.mark.parametrize("how", ["raise", "crash", "fill", "hang", "spin"])
def test_a_file_costs_only_itself(how: str) -> None:
    allowed = replace(limits(cpu_s=1), wall_s=2 if how == "hang" else 60)
    assert refused(picture([], how=how), allowed=allowed).code == "invalid_file"
    assert read(picture([WORDS]), allowed=allowed).text == "Words."


def test_one_program_reads_one_file_after_another() -> None:
    read(picture([WORDS]))
    program = parser.program(docling_double.setting().python)
    first = program._child
    read(picture([WORDS]))
    assert program._child is first is not None


def test_an_environment_without_docling(tmp_path: Path) -> None:
    python = docling_double.setting(tmp_path).python
    found = refused(picture([WORDS]), allowed=limits(python=python))
    parser.program(python).close()
    assert (found.code, "`ingest.docling.python`" in found.message) == ("server_error", True)


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
def test_an_interpreter_that_is_none(python: str) -> None:
    found = refused(picture([WORDS]), allowed=limits(python=python))
    assert (found.code, "`ingest.docling.python`" in found.message) == ("server_error", True)


def test_models_that_are_not_there(tmp_path: Path) -> None:
    found = refused(picture([WORDS]), allowed=limits(artifacts_path=str(tmp_path)))
    assert (found.code, "docling-tools models download" in found.message) == ("server_error", True)


def test_through_the_child_that_reads_and_gone_with_it() -> None:
    reader = Reader()
    try:
        assert reader.read(picture([WORDS]), "scan.png", limits()).text == "Words."
        assert "First page" in reader.read(pdf().data, "a.pdf", Limits()).text
        below = children(reader.pid)
        assert len(below) == 1
    finally:
        reader.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{below[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{below[0]}").exists()


def children(pid: int | None) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_configuration_has_its_fields() -> None:
    said_so = {"ingest": {"docling": {"python": "/srv/docling/bin/python", "artifacts_path": "/srv/models"}}}
    spec = Configuration.model_validate(said_so).ingest.docling
    assert spec is not None
    assert Docling(**spec.model_dump()) == Docling("/srv/docling/bin/python", "/srv/models")
    assert limits_of({"docling": spec.model_dump(), "pages": 3}) == Limits(
        pages=3, docling=Docling(**spec.model_dump())
    )
