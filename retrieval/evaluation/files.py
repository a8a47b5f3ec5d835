"""The documents of the set as people keep them: Markdown, HTML, Word and PDF, written here from the text.

Each document is one file, of a format that follows from its name, so the set is the same everywhere. All of the text is
in the file: markup of Markdown stands in the others as it was written. The files are as plain as their formats allow.
"""

import html
import io
import re
import textwrap
import zlib
from collections.abc import Callable, Iterator
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

from retrieval.evaluation.corpus import Source

HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
FENCE = re.compile(r"[ \t]*(```|~~~)")
PAGE_LINES, LINE_CHARACTERS = 54, 96
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
PLAIN = re.compile(r"[^\x00-\x08\x0b-\x1f\ud800-\udfff]*")


def as_file(source: Source) -> tuple[str, bytes]:
    """A file name and its bytes."""
    suffix = suffix_of(source)
    return f"{source.package}.{suffix}", WRITERS[suffix](source.text)


def suffix_of(source: Source) -> str:
    """The format: any for most, but no PDF of letters that its plain fonts lack, and no Word file of control codes."""
    suffix = list(WRITERS)[zlib.crc32(source.package.encode()) % len(WRITERS)]
    lacks = (suffix == "pdf" and not _encodes(source.text)) or (suffix == "docx" and not PLAIN.fullmatch(source.text))
    return "md" if lacks else suffix


def markdown(text: str) -> bytes:
    """As it is."""
    return text.encode()


def page(text: str) -> bytes:
    """HTML: headings, and each paragraph as it was set."""
    tags = {0: "pre"} | {level: f"h{level}" for level in range(1, 7)}
    parts = (f"<{tags[level]}>{html.escape(part)}</{tags[level]}>" for level, part in blocks(text))
    return ("<!doctype html><meta charset=utf-8><body>" + "\n".join(parts)).encode()


def word(text: str) -> bytes:
    """A Word file of headings and paragraphs."""
    body = "".join(_paragraph(level, part) for level, part in blocks(text))
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="H{level}"><w:name w:val="heading {level}"/></w:style>'
        for level in range(1, 7)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="rels" ContentType="application/vnd.'
        'openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{MAIN}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"><Relationship Id="a" Type="{OFFICE}" '
        'Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>',
        "word/styles.xml": f'<w:styles xmlns:w="{W}">{styles}</w:styles>',
    }
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return file.getvalue()


def pdf(text: str) -> bytes:
    """A PDF of pages of lines."""
    lines = [short for line in text.expandtabs().splitlines() for short in textwrap.wrap(line, LINE_CHARACTERS) or [""]]
    pages = [lines[first : first + PAGE_LINES] for first in range(0, len(lines), PAGE_LINES)]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding>>",
    ]
    for number, shown in enumerate(pages):
        drawn = b"BT /F 9 Tf 12 TL 40 760 Td " + b"".join(b"(" + _quoted(line) + b") Tj T* " for line in shown) + b"ET"
        objects += [
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F 3 0 R>>>>"
            f"/Contents {5 + 2 * number} 0 R>>".encode(),
            b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        ]
    return _bound(objects)


WRITERS: dict[str, Callable[[str], bytes]] = {"md": markdown, "html": page, "docx": word, "pdf": pdf}
"""By suffix."""


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """(level, text) of headings and, with level 0, of what stands between blank lines."""
    kept: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        fenced ^= bool(FENCE.match(line))
        found = None if fenced else HEADING.match(line)
        if kept and (found or not line.strip()):
            yield 0, "\n".join(kept)
            kept = []
        if found:
            yield len(found[1]), found[2]
        elif line.strip():
            kept.append(line)


def _paragraph(level: int, text: str) -> str:
    style = f'<w:pPr><w:pStyle w:val="H{level}"/></w:pPr>' if level else ""
    runs = "<w:r><w:br/></w:r>".join(
        f'<w:r><w:t xml:space="preserve">{escape(line)}</w:t></w:r>' for line in text.splitlines()
    )
    return f"<w:p>{style}{runs}</w:p>"


def _encodes(text: str) -> bool:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return bool(PLAIN.fullmatch(text))


def _quoted(line: str) -> bytes:
    return re.sub(rb"([\\()])", rb"\\\1", line.encode("cp1252"))


def _bound(objects: list[bytes]) -> bytes:
    """Objects with their table of places."""
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(places) + 1
    end = (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{len(data)}\n%%EOF"
    )
    return data + end.encode()
