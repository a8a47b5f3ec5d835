"""HTML pages."""

import re

from retrieval.documents import Document, joined
from retrieval.encodings import declared, decode
from retrieval.format import Format, Source
from retrieval.markup import pieces

START = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html)\b",
    re.I | re.S,
)
CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]{1,40})", re.I)
HEAD_BYTES = 4096


def create() -> Format:
    """By suffix, or by how it begins."""
    return Format(frozenset({".html", ".htm", ".xhtml"}), parse, recognises)


def recognises(data: bytes) -> bool:
    """Whether it begins like a page."""
    return START.match(data[:HEAD_BYTES]) is not None


def parse(source: Source) -> Document:
    """What a reader sees of the page."""
    title, found = pieces(text_of(source.data))
    return joined(found, source.limits, title)


def text_of(data: bytes) -> str:
    """The markup as text; its own word about its encoding is believed where it can be true."""
    said = CHARSET.search(data[:HEAD_BYTES])
    return decode(data, said.group(1).decode("ascii") if said else declared(data))
