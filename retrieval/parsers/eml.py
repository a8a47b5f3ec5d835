"""E-mail: who, when and what about, the text, then what is attached."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart

from retrieval.documents import Document, Piece, Unreadable, clean, joined
from retrieval.encodings import decode
from retrieval.format import Format, Source
from retrieval.markup import pieces

HEADERS = ("From", "To", "Cc", "Date", "Subject")
DEEPER = 1
MESSAGE = "message/rfc822"
UNNAMED = {MESSAGE: "message.eml", "text/html": "page.html", "text/csv": "table.csv", "text/markdown": "text.md"}
BODIES = ("text/plain", "text/html")
BINARY = (b"%PDF-", b"PK\x03\x04")
"""Some programs send any file as text."""


def create() -> Format:
    """By suffix: any text may begin like a header."""
    return Format(frozenset({".eml", ".mht", ".mhtml"}), parse)


def parse(source: Source) -> Document:
    """An attachment that cannot be read is named in the document's notes; the rest goes on."""
    message = message_from_bytes(source.data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    notes: list[str] = []
    body = message.get_body(("plain", "html"))
    found = [Piece("\n".join(_headers(message))), *_paragraphs(body), *_attached(_parts(message, body), source, notes)]
    return joined(found, source.limits, _header(message, "Subject"), notes)


def _headers(message: EmailMessage) -> Iterator[str]:
    for name in HEADERS:
        if value := _header(message, name):
            yield f"{name}: {value}"


def _header(message: EmailMessage, name: str) -> str:
    return " ".join(clean(str(message.get(name, ""))).split())


def _paragraphs(body: MIMEPart | None) -> Iterator[Piece]:
    if body is None:
        return
    text = decode(_bytes(body), body.get_content_charset())
    if body.get_content_subtype() == "html":
        yield from pieces(text)[1]
    else:
        yield from (Piece(paragraph) for paragraph in text.split("\n\n"))


def _parts(part: MIMEPart, body: MIMEPart | None, versions: bool = False) -> Iterator[MIMEPart]:
    """Everything but the body and, where there are `versions` of it, the others. `iter_attachments` leaves out more."""
    if part is body:
        return
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        several = part.get_content_subtype() == "alternative" and any(each is body for each in part.walk())
        for each in part.iter_parts():
            yield from _parts(each, body, versions or several)
    elif not (versions and part.get_content_type() in BODIES and part.get_filename() is None):
        yield part


def _attached(parts: Iterator[MIMEPart], source: Source, notes: list[str]) -> Iterator[Piece]:
    for part in parts:
        own = clean(part.get_filename() or "")
        name = own or _unnamed(part)
        try:
            document = source.inner(_content(part), name)
        except Unreadable as refused:
            notes.append(f"{name}: {refused.message}")
            continue
        notes.extend(f"{name}: {note}" for note in document.notes)
        if own or part.get_content_type() == MESSAGE:
            yield Piece(name, "heading", 1)
        for piece in document.pieces():
            yield Piece(piece.text, piece.kind, piece.level + DEEPER if piece.level else 0, piece.page)


def _unnamed(part: MIMEPart) -> str:
    """A name that tells how a part without one is read."""
    kind = part.get_content_type()
    return UNNAMED.get(kind, "text.txt" if part.get_content_maintype() == "text" else "attachment")


def _content(part: MIMEPart) -> bytes:
    """Its bytes; what only the mail knows about the encoding of a text is applied here."""
    data, charset = _bytes(part), part.get_content_charset()
    if part.get_content_maintype() != "text" or charset is None or data.startswith(BINARY) or b"\0" in data:
        return data
    return decode(data, charset).encode()


def _bytes(part: MIMEPart) -> bytes:
    if part.get_content_type() == MESSAGE:
        inner = part.get_payload(0)
        return bytes(inner) if isinstance(inner, EmailMessage) else b""
    if part.is_multipart():  # a delivery report is a list of headers
        return b"\n".join(bytes(each) for each in part.iter_parts())
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
