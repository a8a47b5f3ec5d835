"""What the parts of Office Open XML have in common."""

import logging
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from retrieval.container import Container
from retrieval.documents import Unreadable

log = logging.getLogger(__name__)

CORE = "docProps/core.xml"
TITLE = "{http://purl.org/dc/elements/1.1/}title"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
"""The same content again for old programs."""


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
