"""Which parser reads a file: its content where that is certain, then its suffix, then what it looks like.

Runs wherever it is called: `retrieval.reading` calls it in a process with limits. Parsers are loaded when first needed.
"""

import functools
import logging
import re
import zlib
from pathlib import PurePath
from zipfile import BadZipFile

from configs import plugins
from retrieval.documents import Document, Limits, Unreadable, check_length, invalid, unsupported
from retrieval.format import Budget, Format, Source

log = logging.getLogger(__name__)

PACKAGE = "retrieval.parsers"
PLAIN = "text"
RTF = re.compile(rb"\s{0,16}\{\\rtf\d")
OPEN_DOCUMENT = re.compile(rb"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis\.opendocument", re.S)
"""Its first member, which is not packed, says so."""
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
NOT_SET_UP = "Pictures are not read here. Send a file with text; with `ingest.docling` the server reads pictures too."
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
BROKEN = (
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    SyntaxError,
    RuntimeError,
    EOFError,
    OSError,
)
"""What libraries raise over a broken file; AttributeError where a part that must be there is missing."""


@functools.cache
def formats() -> dict[str, Format]:
    """Every format by the name of its file."""
    return {name: plugins.load(PACKAGE, name)() for name in plugins.available(PACKAGE)}


def parse(data: bytes, filename: str, limits: Limits) -> Document:
    """Read one file.

    Raises:
        Unreadable: it has no text for us; the message names the way out.
    """
    return _parse(data, filename, limits, Budget(limits), 0)


def _parse(data: bytes, filename: str, limits: Limits, budget: Budget, depth: int) -> Document:
    if depth > limits.depth:
        raise invalid(f"Files are packed in each other more than {limits.depth} deep. Unpack them first.")
    if len(data) > limits.file_bytes:
        raise invalid(f"The file has more than {limits.file_bytes} bytes. Split it.")
    if not data.strip(b"\0 \t\r\n"):
        raise invalid("The file is empty.")
    inner = functools.partial(_parse, limits=limits, budget=budget, depth=depth + 1)
    source = Source(data, filename, limits, budget, inner)
    document = _parsed(choose(data, filename, limits), source)
    check_length(len(document.text), limits)
    if not document.text:
        raise invalid("The file has no text in it. A scan needs text recognition (OCR) before it is sent.")
    return document


def known(limits: Limits) -> list[Format]:
    """The formats that are read, those first that had to be set up."""
    ready = [each for each in formats().values() if each.ready is None or each.ready(limits)]
    return sorted(ready, key=lambda each: each.ready is None)


def choose(data: bytes, filename: str, limits: Limits) -> Format:
    """The format of a file.

    Raises:
        Unreadable: nobody here reads it.
    """
    ready = known(limits)
    if (why := _not_read(data)) is not None:
        raise unsupported(why)
    for each in ready:
        if each.certain and each.recognises is not None and each.recognises(data):
            return each
    if data.startswith(OLE):
        raise _old_office(data)
    if any(each not in ready and each.recognises is not None and each.recognises(data) for each in formats().values()):
        raise unsupported(NOT_SET_UP)
    suffix = PurePath(filename).suffix.lower()
    named = next((each for each in ready if suffix in each.suffixes), None)
    if named is not None and not named.certain:
        return named
    alike = (
        each for each in ready if any(find is not None and find(data) for find in (each.recognises, each.resembles))
    )
    return next(alike, formats()[PLAIN])


def _parsed(chosen: Format, source: Source) -> Document:
    try:
        return chosen.parse(source)
    except (BadZipFile, zlib.error, RecursionError, *BROKEN) as error:
        log.info("a file of %d bytes is broken: %s", len(source.data), type(error).__name__)
        raise invalid("The file is broken. Open it in its program and save it again.") from error


def _not_read(data: bytes) -> str | None:
    """Formats that would pass for others: markup and letters of their own in place of what a reader sees."""
    if RTF.match(data):
        return "RTF is not read here. Open the file in its program and save it as DOCX or PDF."
    if OPEN_DOCUMENT.match(data):
        return "OpenDocument is not read here. Save the file as DOCX, XLSX, PPTX or PDF."
    return None


def _old_office(data: bytes) -> Unreadable:
    if ENCRYPTED in data:
        return invalid("The file is locked with a password. Save it without one.")
    return unsupported("This is a file of an old Office program. Save it as DOCX, XLSX or PPTX.")
