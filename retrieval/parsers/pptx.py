"""Presentations: a page for each slide, its title as a heading, its notes at its end."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from retrieval import office
from retrieval.container import Container, names
from retrieval.documents import Document, Piece, invalid, joined, row
from retrieval.format import Format, Source

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
MAIN = "ppt/presentation.xml"
SHAPE, TABLE, PARAGRAPH = f"{P}sp", f"{A}tbl", f"{A}p"
TITLES = frozenset({"title", "ctrTitle"})
ASIDE = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
WHOLE = frozenset({SHAPE, TABLE})


def create() -> Format:
    """By its main part, whatever it is called."""
    return Format(frozenset({".pptx", ".pptm", ".ppsx", ".potx"}), parse, recognises, certain=True)


def recognises(data: bytes) -> bool:
    """Whether it holds PowerPoint's main part."""
    return MAIN in names(data)


def parse(source: Source) -> Document:
    """The slides in the order in which they are shown."""
    container = Container.open(source)
    related = container.related(MAIN)
    shown = [related.get(each.get(f"{R}id", "")) for each in container.xml(MAIN).iter(f"{P}sldId")]
    if len(shown) > source.limits.pages:
        raise invalid(f"The presentation has {len(shown)} slides, more than {source.limits.pages}. Split it.")
    found = [piece for page, slide in enumerate(shown, 1) if slide for piece in _slide(container, slide, page)]
    return joined(found, source.limits, office.title(container), office.left_out(container))


def _slide(container: Container, name: str, page: int) -> Iterator[Piece]:
    yield from _pieces(container.xml(name), page)
    yield from (Piece(text, page=page) for text in office.diagrams(container, name))
    for part in container.related(name).values():
        if part.startswith("ppt/notesSlides/") and part in container:
            yield from (Piece(piece.text, page=page) for piece in _pieces(container.xml(part), page))


def _pieces(root: Element, page: int) -> Iterator[Piece]:
    for element in office.walk(root, WHOLE):
        if element.tag == SHAPE and (role := _role(element)) not in ASIDE:
            text = "\n".join(line for each in element.iter(PARAGRAPH) if (line := _text(each)))
            if role in TITLES:
                yield Piece(" ".join(text.split()), "heading", 1, page)
            else:
                yield Piece(text, page=page)
        elif element.tag == TABLE:
            yield Piece("\n".join(_rows(element)), "table", page=page)


def _role(shape: Element) -> str:
    place = shape.find(f".//{P}nvPr/{P}ph")
    return place.get("type", "body") if place is not None else ""


def _text(paragraph: Element) -> str:
    return "".join(map(_said, paragraph.iter())).strip()


def _said(element: Element) -> str:
    if element.tag == f"{A}br":
        return "\n"
    return (element.text or "") if element.tag == f"{A}t" else office.formula(element)


def _rows(table: Element) -> Iterator[str]:
    for each in table.iter(f"{A}tr"):
        yield row("\n".join(_text(paragraph) for paragraph in cell.iter(PARAGRAPH)) for cell in each.iter(f"{A}tc"))
