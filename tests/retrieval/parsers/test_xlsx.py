"""Workbooks: values, sheets, and what is broken."""

import io
from datetime import date, datetime, time
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest

from retrieval.documents import Document, Limits, Unreadable
from retrieval.formats import parse
from tests.retrieval.parsers.samples import xlsx, zipped


def saved(book: Any) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def book_of(*rows: tuple[object, ...]) -> bytes:
    book = openpyxl.Workbook()
    for cells in rows:
        book.active.append(cells)
    return saved(book)


def read(data: bytes) -> Document:
    return parse(data, "a.xlsx", Limits())


def refused(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        parse(data, "a.xlsx", limits or Limits())
    assert caught.value.code == "invalid_file"
    return caught.value.message


def test_values_as_they_are() -> None:
    row = (1, 1.5, -0.25, 10**15, True, "x", date(2024, 2, 29), datetime(2024, 2, 29, 13, 5), time(13, 5), None, "end")  # noqa: DTZ001  cells have no zone
    said = read(book_of(row)).text.split("\n\n")[1].split(" | ")
    assert said[:6] == ["1", "1.5", "-0.25", "1000000000000000", "TRUE", "x"]
    assert said[6:8] == ["2024-02-29", "2024-02-29 13:05:00"]
    assert said[9:] == ["", "end"]


def test_each_sheet_is_a_heading_with_a_table_and_empty_ones_are_left_out() -> None:
    book = openpyxl.Workbook()
    book.active.title = "Empty"
    for name in ("Zwei", "Eins"):
        book.create_sheet(name).append((f"in {name}",))
    book["Eins"].sheet_state = "hidden"
    document = read(saved(book))
    assert [(piece.kind, piece.level, piece.text) for piece in document.pieces()] == [
        ("heading", 1, "Zwei"), ("table", 0, "in Zwei"), ("heading", 1, "Eins"), ("table", 0, "in Eins"),
    ]  # fmt: skip


def test_empty_rows_are_left_out_and_line_ends_in_cells_are_spaces() -> None:
    assert read(book_of(("a", "b\nc"), (None,), ("d", None))).text.split("\n\n")[1] == "a | b c\nd |"


def test_merged_cells_stand_where_they_begin() -> None:
    book = openpyxl.Workbook()
    book.active.append(("both", None, "c"))
    book.active.merge_cells("A1:B1")
    assert read(saved(book)).text.split("\n\n")[1] == "both |  | c"


def test_a_formula_is_its_value() -> None:
    book = openpyxl.Workbook()
    book.active.append((2, "=A1*2", "words"))
    assert "words" in read(saved(book)).text
    assert "=A1" not in read(saved(book)).text


def test_any_character() -> None:
    assert "日本 🦢 é <&> \u202eمرحبا" in read(book_of(("日本 🦢 é <&> \u202eمرحبا",))).text


def test_broken_ones_are_refused() -> None:
    whole = xlsx().data
    assert "broken" in refused(whole[: len(whole) // 2])
    assert "broken" in refused(zipped({"xl/workbook.xml": "<a/"}))
    assert "save it again" in refused(zipped({"xl/workbook.xml": "<workbook/>"}))
    assert "characters" in refused(book_of(*(("x" * 90,) for _ in range(9))), Limits(text_characters=500))


def test_a_sheet_that_claims_a_million_rows() -> None:
    cells = '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>far</t></is></c></row>'
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
    with ZipFile(io.BytesIO(xlsx().data)) as archive:
        members: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    members["xl/worksheets/sheet1.xml"] = sheet
    assert "far" in read(zipped(members)).text
