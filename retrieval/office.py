"""What the parts of Office Open XML have in common."""

import logging
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from retrieval.container import Container
from retrieval.documents import Unreadable

log = logging.getLogger(__name__)

CORE = "docProps/core.xml"
TITLE = "{http://purl.org/dc/elements/1.1/}title"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
"""The same content again for old programs."""
FORMULA = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
SIGNS = f"{FORMULA}t"
PARTS = {f"{FORMULA}den": "/", f"{FORMULA}sup": "^", f"{FORMULA}sub": "_"}
DIAGRAM = re.compile(r"(?:ppt|word)/diagrams/data[^/]*")
UNREAD = {"Charts": re.compile(r"(?:ppt|word)/charts/chart[^/]*"), "Comments": re.compile(r"ppt/comments/[^/]*")}
POINTS = "{http://schemas.openxmlformats.org/drawingml/2006/main}"


def title(container: Container) -> str:
    """The document's own title, or nothing; nobody loses a document because its description is broken."""
    if CORE not in container:
        return ""
    try:
        return (container.xml(CORE).findtext(f".//{TITLE}") or "").strip()
    except Unreadable as refused:
        log.info("a document's description: %s", refused.message)
        return ""


def walk(root: Element, whole: frozenset[str], skipped: frozenset[str] = frozenset()) -> Iterator[Element]:
    """Elements in their order. Those of `whole` are not entered, those of `skipped` are not there."""
    waiting = list(reversed(root))
    while waiting:
        element = waiting.pop()
        if element.tag == FALLBACK or element.tag in skipped:
            continue
        yield element
        if element.tag not in whole:
            waiting.extend(reversed(element))


def left_out(container: Container) -> list[str]:
    """Notes on kinds of parts that are not read."""
    names = [member.filename for member in container.members]
    return [f"{what} were left out." for what, part in UNREAD.items() if any(map(part.fullmatch, names))]


def formula(element: Element) -> str:
    """What one element of a formula adds to its line; nothing for what is none."""
    if element.tag == SIGNS:
        return element.text or ""
    filled = element.tag in PARTS and any(each.text for each in element.iter(SIGNS))
    return PARTS[element.tag] if filled else ""


def diagrams(container: Container, part: str) -> Iterator[str]:
    """The words of each diagram that a part shows, a line for each of its shapes."""
    for name in container.related(part).values():
        if DIAGRAM.fullmatch(name) and name in container:
            shapes = (
                "".join(each.text or "" for each in p.iter(f"{POINTS}t"))
                for p in container.xml(name).iter(f"{POINTS}p")
            )
            yield "\n".join(shape for shape in shapes if shape.strip())
