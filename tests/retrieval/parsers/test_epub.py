"""Books: chapters in reading order, and locks."""

import pytest

from retrieval.documents import Document, Limits, Unreadable
from retrieval.formats import parse
from tests.retrieval.parsers.samples import CONTAINER, epub, zipped

OPF = "http://www.idpf.org/2007/opf"
CIPHERS = "http://www.w3.org/2001/04/xmlenc#"


def book(chapters: dict[str, bytes | str], hrefs: tuple[str, ...] | None = None, **more: str) -> bytes:
    """Chapters below `OPS/`, read in the order of `hrefs`; `more` are members of `META-INF/`."""
    names = hrefs or tuple(chapters)
    items = "".join(f'<item id="i{number}" href="{name}"/>' for number, name in enumerate(names))
    spine = "".join(f'<itemref idref="i{number}"/>' for number in range(len(names)))
    package = f'<package xmlns="{OPF}"><manifest>{items}</manifest><spine>{spine}</spine></package>'
    members: dict[str, bytes | str] = {"META-INF/container.xml": CONTAINER, "OPS/book.opf": package}
    members |= {f"OPS/{name}": content for name, content in chapters.items()}
    return zipped(members | {f"META-INF/{name}.xml": content for name, content in more.items()})


def read(data: bytes) -> Document:
    return parse(data, "a.epub", Limits())


def refused(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read(data)
    assert caught.value.code == "invalid_file"
    return caught.value.message


def test_the_order_is_the_spines() -> None:
    document = read(epub().data)
    assert document.title == "Tale"
    assert [(block.kind, block.level) for block in document.blocks] == [("heading", 1), ("text", 0)] * 2
    assert read(book({"a.html": "<p>one", "b.html": "<p>two"}, ("b.html", "a.html"))).text == "two\n\none"


def test_tables_code_entities_and_a_document_type() -> None:
    page = (
        '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "x.dtd"><html><body>'
        "<p>a&nbsp;b &eacute;</p>"
        "<pre>x = 1</pre><table><tr><td>c</td><td>d</td></tr></table></body></html>"
    )
    assert [(piece.kind, piece.text) for piece in read(book({"a.xhtml": page})).pieces()] == [
        ("text", "a b é"), ("code", "x = 1"), ("table", "c | d"),
    ]  # fmt: skip


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "shift_jis"])
def test_chapters_in_any_encoding(codec: str) -> None:
    page = f'<html><head><meta charset="{codec}"/></head><body><p>日本語です</p></body></html>'
    assert read(book({"a.html": page.encode(codec)})).text == "日本語です"


def test_addresses_with_signs_and_anchors_and_none_that_lead_out() -> None:
    chapters: dict[str, bytes | str] = {"chapter é 1.html": "<p>kept</p>"}
    hrefs = ("chapter%20%C3%A9%201.html#start", "../../../etc/passwd", "https://example.com/a.html", "gone.html")
    assert read(book(chapters, hrefs)).text == "kept"


def test_a_locked_book_and_one_with_scrambled_fonts_only() -> None:
    method = f'<encryption xmlns:e="{CIPHERS}"><e:EncryptionMethod Algorithm="{{}}"/></encryption>'
    assert "DRM" in refused(book({"a.html": "<p>a"}, encryption=method.format(f"{CIPHERS}aes128-cbc")))
    fonts = method.format("http://www.idpf.org/2008/embedding")
    assert read(book({"a.html": "<p>free"}, encryption=fonts)).text == "free"


def test_broken_ones_are_refused() -> None:
    whole = epub().data
    assert "broken" in refused(whole[: len(whole) // 2])
    assert "where its content is" in refused(zipped({"META-INF/container.xml": "<container/>"}))
    assert "missing" in refused(zipped({"META-INF/container.xml": CONTAINER}))
    assert "no text" in refused(book({"a.html": "<p></p>"}))
    assert "entities" in refused(zipped({"META-INF/container.xml": '<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>'}))
