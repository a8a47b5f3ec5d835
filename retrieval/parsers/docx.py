"""Word documents: headings by their styles, paragraphs, tables, notes; pages as Word last laid them out."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from retrieval import office
from retrieval.container import Container, names
from retrieval.documents import Document, Piece, joined, row
from retrieval.format import Format, Source

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
PARAGRAPH, TABLE, ROW, CELL, STYLE = f"{W}p", f"{W}tbl", f"{W}tr", f"{W}tc", f"{W}style"
MAIN, STYLES = "word/document.xml", "word/styles.xml"
NOTES = ("word/footnotes.xml", "word/endnotes.xml")
ASIDE = {
    re.compile(r"word/(?:header|footer)\d*\.xml"): "Running heads and feet",
    re.compile(r"word/comments\.xml"): "Comments",
}
REMOVED = frozenset({f"{W}del", f"{W}moveFrom", f"{W}instrText"})
NESTED = f"{W}txbxContent"
PAGE_BREAK = f"{W}lastRenderedPageBreak"
SIGNS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
HEADING_NAME = re.compile(r"heading (\d)", re.I)
MAX_LEVEL = 9


def create() -> Format:
    """By its main part, whatever it is called."""
    return Format(frozenset({".docx", ".docm", ".dotx"}), parse, recognises, certain=True)


def recognises(data: bytes) -> bool:
    """Whether it holds Word's main part."""
    return MAIN in names(data)


def parse(source: Source) -> Document:
    """The body, then diagrams and notes. Running heads and comments are named in the document's notes."""
    container = Container.open(source)
    reader = _Reader(_levels(container), container.xml(MAIN))
    found = list(reader.pieces())
    found += map(Piece, office.diagrams(container, MAIN))
    for part in NOTES:
        if part in container:
            found += map(Piece, _paragraphs(container, part))
    return joined(found, source.limits, office.title(container), _left_out(container))


def _paragraphs(container: Container, part: str) -> Iterator[str]:
    return (text for each in container.xml(part).iter(PARAGRAPH) if (text := _text(each)))


def _left_out(container: Container) -> Iterator[str]:
    """Kinds of parts that have words and are not read."""
    yield from office.left_out(container)
    for kind, told in ASIDE.items():
        names = [member.filename for member in container.members if kind.fullmatch(member.filename)]
        if any(True for name in names for _ in _paragraphs(container, name)):
            yield f"{told} were left out."


class _Reader:
    def __init__(self, levels: dict[str, int], root: Element) -> None:
        self._levels = levels
        self._root = root
        self._page = 1 if next(root.iter(PAGE_BREAK), None) is not None else None

    def pieces(self) -> Iterator[Piece]:
        for element in office.walk(self._root, frozenset({PARAGRAPH, TABLE}), REMOVED):
            if element.tag == PARAGRAPH:
                level = self._level(element)
                yield Piece(_text(element), "heading" if level else "text", level, self._page)
                yield from (Piece(text, page=self._page) for text in _boxes(element))
            elif element.tag == TABLE:
                yield Piece("\n".join(_rows(element)), "table", page=self._page)
            if self._page is not None and element.tag in {PARAGRAPH, TABLE}:
                self._page += sum(1 for _ in element.iter(PAGE_BREAK))

    def _level(self, paragraph: Element) -> int:
        properties = paragraph.find(f"{W}pPr")
        if properties is None:
            return 0
        own = _outline(properties)
        style = properties.find(f"{W}pStyle")
        return own or (self._levels.get(style.get(f"{W}val", ""), 0) if style is not None else 0)


def _levels(container: Container) -> dict[str, int]:
    """Style id -> level of the headings that it makes."""
    if STYLES not in container:
        return {}
    return {
        style.get(f"{W}styleId", ""): level for style in container.xml(STYLES).iter(STYLE) if (level := _style(style))
    }


def _style(style: Element) -> int:
    name = style.find(f"{W}name")
    called = name.get(f"{W}val", "") if name is not None else ""
    if found := HEADING_NAME.fullmatch(called):
        return int(found.group(1))
    properties = style.find(f"{W}pPr")
    return 1 if called.lower() == "title" else _outline(properties) if properties is not None else 0


def _outline(properties: Element) -> int:
    """Level by the outline, which counts from 0; 9 is text."""
    outline = properties.find(f"{W}outlineLvl")
    written = outline.get(f"{W}val", "") if outline is not None else ""
    return int(written) + 1 if written.isdecimal() and int(written) < MAX_LEVEL else 0


def _text(paragraph: Element) -> str:
    found = office.walk(paragraph, frozenset(), REMOVED | {NESTED})
    return "".join(_said(each) for each in found).strip()


def _said(element: Element) -> str:
    return (element.text or "") if element.tag == f"{W}t" else SIGNS.get(element.tag) or office.formula(element)


def _boxes(paragraph: Element) -> Iterator[str]:
    """Text boxes that hang on a paragraph."""
    for box in office.walk(paragraph, frozenset({NESTED}), REMOVED):
        if box.tag == NESTED:
            yield "\n".join(_text(each) for each in box.iter(PARAGRAPH))


def _rows(table: Element) -> Iterator[str]:
    for each in office.walk(table, frozenset({ROW}), REMOVED):
        if each.tag == ROW:
            cells = [cell for cell in office.walk(each, frozenset({CELL}), REMOVED) if cell.tag == CELL]
            yield row("\n".join(_text(paragraph) for paragraph in cell.iter(PARAGRAPH)) for cell in cells)
