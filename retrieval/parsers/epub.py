"""Books (EPUB): the chapters in reading order, each a page of HTML."""

import posixpath
from collections.abc import Iterator

from retrieval.container import Container, names, resolved
from retrieval.documents import Document, Piece, invalid, joined
from retrieval.format import Format, Source
from retrieval.markup import pieces
from retrieval.parsers.html import text_of

MAIN = "META-INF/container.xml"
LOCKED = "META-INF/encryption.xml"
CONTENT = "{http://www.idpf.org/2007/opf}"
TITLE = "{http://purl.org/dc/elements/1.1/}title"
PACKAGE = "{urn:oasis:names:tc:opendocument:xmlns:container}rootfile"
FONTS = (b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC")
CIPHER = b"EncryptionMethod"


def create() -> Format:
    """By its container part, whatever it is called."""
    return Format(frozenset({".epub"}), parse, recognises, certain=True)


def recognises(data: bytes) -> bool:
    """Whether it holds a book's container part."""
    return MAIN in names(data)


def parse(source: Source) -> Document:
    """The chapters of the spine."""
    container = Container.open(source)
    if LOCKED in container and not _only_fonts(container.read(LOCKED)):
        raise invalid("The book is locked (DRM). Send one that is not.")
    root = container.xml(MAIN).find(f".//{PACKAGE}")
    package = root.get("full-path", "") if root is not None else ""
    if not package:
        raise invalid("The book is broken: it does not say where its content is. Save it again.")
    description = container.xml(package)
    title = description.findtext(f".//{TITLE}") or ""
    return joined(_chapters(container, package), source.limits, title)


def _chapters(container: Container, package: str) -> Iterator[Piece]:
    description, folder = container.xml(package), posixpath.dirname(package)
    files = {each.get("id", ""): resolved(folder, each.get("href", "")) for each in description.iter(f"{CONTENT}item")}
    for each in description.iter(f"{CONTENT}itemref"):
        if (name := files.get(each.get("idref", ""))) is not None and name in container:
            yield from pieces(text_of(container.read(name)))[1]


def _only_fonts(encryption: bytes) -> bool:
    """Fonts may be scrambled in a book that is free to read."""
    return encryption.count(b"<" + CIPHER) + encryption.count(b":" + CIPHER) <= sum(map(encryption.count, FONTS))
