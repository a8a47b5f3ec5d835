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


def create() -> Format:
    """By suffix: any text may begin like a header."""
    return Format(frozenset({".eml", ".mht", ".mhtml"}), parse)


def parse(source: Source) -> Document:
    """An attachment that cannot be read is named in the document's notes; the rest goes on."""
    message = message_from_bytes(source.data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    notes: list[str] = []
    found = [Piece("\n".join(_headers(message))), *_body(message), *_attached(message, source, notes)]
    return joined(found, source.limits, _header(message, "Subject"), notes)


def _headers(message: EmailMessage) -> Iterator[str]:
    for name in HEADERS:
        if value := _header(message, name):
            yield f"{name}: {value}"


def _header(message: EmailMessage, name: str) -> str:
    return " ".join(clean(str(message.get(name, ""))).split())


def _body(message: EmailMessage) -> Iterator[Piece]:
    body = message.get_body(("plain", "html"))
    if body is None:
        return
    text = decode(_bytes(body), body.get_content_charset())
    if body.get_content_subtype() == "html":
        yield from pieces(text)[1]
    else:
        yield from (Piece(paragraph) for paragraph in text.split("\n\n"))


def _attached(message: EmailMessage, source: Source, notes: list[str]) -> Iterator[Piece]:
    for part in message.iter_attachments():
        name = clean(part.get_filename() or "message.eml")
        try:
            document = source.inner(_bytes(part), name)
        except Unreadable as refused:
            notes.append(f"{name}: {refused.message}")
            continue
        notes.extend(f"{name}: {note}" for note in document.notes)
        yield Piece(name, "heading", 1)
        for piece in document.pieces():
            yield Piece(piece.text, piece.kind, piece.level + DEEPER if piece.level else 0, piece.page)


def _bytes(part: MIMEPart) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload(0)
        return bytes(inner) if isinstance(inner, EmailMessage) else b""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
