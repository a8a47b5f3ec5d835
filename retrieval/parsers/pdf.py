"""PDF: the text of each page, in the order in which the file draws it. A scan has none."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pypdfium2

from retrieval.documents import Document, Piece, check_length, clean, invalid, joined
from retrieval.format import Format, Source

SUFFIX = ".pdf"
HEAD_BYTES = 1024
MAGIC = b"%PDF-"
HEAD = re.compile(rb"%PDF-[^A-Za-z \n]")
OBJECT = re.compile(rb"(?:^|\r)[ \t]*\d+[ \t]+\d+[ \t]+obj\b", re.M)
HYPHEN = re.compile("[\x02\ufffe]\\s*")
"""What PDFium gives for a hyphen at the end of a line, where the word goes on in the next."""
PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*")
PASSWORD = "password"  # noqa: S105  PDFium's word


def create() -> Format:
    """By its first bytes, whatever it is called."""
    return Format(frozenset({SUFFIX}), parse, recognises, certain=True, resembles=resembles)


def recognises(data: bytes) -> bool:
    """Whether it begins like one."""
    return HEAD.match(data) is not None


def resembles(data: bytes) -> bool:
    """Whether it begins like one after some bytes, which PDF allows; a page about PDF may have an example too."""
    start = data.find(MAGIC, 0, HEAD_BYTES)
    return start >= 0 and OBJECT.search(data, start) is not None


def parse(source: Source) -> Document:
    """The pages; the title is the one in the file's own description."""
    with opened(source) as pdf:
        return joined(list(_pages(pdf, source)), source.limits, title(pdf))


@contextmanager
def opened(source: Source) -> Iterator[pypdfium2.PdfDocument]:
    """A PDF that keeps within the limits.

    Raises:
        Unreadable: it is locked, broken or too long.
    """
    try:
        pdf = pypdfium2.PdfDocument(source.data)
    except pypdfium2.PdfiumError as error:
        if PASSWORD in str(error).lower():
            raise invalid("The PDF is locked with a password. Save it without one.") from error
        raise invalid("The PDF is broken. Open it in its program and save it again.") from error
    with pdf:
        if len(pdf) > source.limits.pages:
            raise invalid(f"The PDF has {len(pdf)} pages, more than {source.limits.pages}. Split it.")
        yield pdf


def title(pdf: pypdfium2.PdfDocument) -> str:
    """What the file's own description calls it, or nothing."""
    return str(pdf.get_metadata_value("Title"))


def _pages(pdf: pypdfium2.PdfDocument, source: Source) -> Iterator[Piece]:
    characters = 0
    for number in range(len(pdf)):
        text = clean(_text(pdf, number))
        characters += len(text)
        check_length(characters, source.limits)
        for paragraph in PARAGRAPHS.split(text):
            yield Piece(paragraph, page=number + 1)


def _text(pdf: pypdfium2.PdfDocument, number: int) -> str:
    """A page that is broken has no text; the others have."""
    try:
        page = pdf[number]
    except pypdfium2.PdfiumError:
        return ""
    text = page.get_textpage()
    try:
        return HYPHEN.sub("", text.get_text_bounded())
    finally:
        text.close()
        page.close()
