"""Workbooks: each sheet is a heading with a table under it; values as they are, not as they are formatted."""

import io
from collections.abc import Iterator
from datetime import date, datetime

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from retrieval import office
from retrieval.container import Container, names
from retrieval.documents import Document, Piece, invalid, joined, row
from retrieval.format import Format, Source

MAIN = "xl/workbook.xml"


def create() -> Format:
    """By its main part, whatever it is called."""
    return Format(frozenset({".xlsx", ".xlsm", ".xltx"}), parse, recognises, certain=True)


def recognises(data: bytes) -> bool:
    """Whether it holds Excel's main part."""
    return MAIN in names(data)


def parse(source: Source) -> Document:
    """Every sheet, hidden ones too."""
    container = Container.open(source)
    for member in container.members:
        container.read(member)  # calamine trusts the sizes; here they are proven
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(source.data))
        found = list(_sheets(workbook))
    except (CalamineError, PasswordError) as error:
        raise invalid("The workbook is broken or locked. Open it in its program and save it again.") from error
    return joined(found, source.limits, office.title(container))


def _sheets(workbook: CalamineWorkbook) -> Iterator[Piece]:
    for name in workbook.sheet_names:
        rows = ([_said(cell) for cell in cells] for cells in workbook.get_sheet_by_name(name).iter_rows())
        lines = [row(cells) for cells in rows if any(cells)]
        if lines:
            yield Piece(name, "heading", 1)
            yield Piece("\n".join(lines), "table")


def _said(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else str(value)
