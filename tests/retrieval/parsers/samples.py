"""One file of each format, made by the library that people make them with, and what must be found in it."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from email.message import EmailMessage
from json import dumps
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import docx as word
import openpyxl
import pptx as powerpoint
from pptx.util import Inches

from retrieval.documents import Limits
from tests.fixtures import docling_double

PLAIN = Limits()


@dataclass(frozen=True)
class Sample:
    """A file, and texts that stand in it in this order."""

    filename: str
    data: bytes
    texts: tuple[str, ...]
    limits: Limits = PLAIN


def text() -> Sample:
    return Sample(
        "notes.txt", "First line\nsecond.\n\n\nAnother – ü.\n".encode(), ("First line\nsecond.", "Another – ü.")
    )


def markdown() -> Sample:
    page = "# Guide\n\nWords *here*.\n\n```py\n# no heading\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nSub\n---\nEnd.\n"
    return Sample("guide.md", page.encode(), ("Guide", "Words", "# no heading", "| 1 | 2 |", "Sub", "End."))


def code() -> Sample:
    source = "import os\n\n\ndef one():\n    return 1\n\n    # more\n\n\nclass Two:\n    pass\n"
    return Sample("tool.py", source.encode(), ("import os", "def one", "# more", "class Two"))


def html() -> Sample:
    page = (
        "<!doctype html><title>T &amp; t</title><script>evil()</script><h1>Head <b>line</b></h1><div>loose<p>a<br>b"
        "</div><pre>x\n  y</pre><table><tr><th>k<th>v<tr><td>1<td>2</table><p hidden>unseen</p>tail"
    )
    return Sample("page.html", page.encode(), ("Head line", "loose", "a\nb", "x\n  y", "k | v\n1 | 2", "tail"))


def json() -> Sample:
    data = b'[{"name":"Ada","score":1.10,"tags":["x\\u00e9",true,null]},{"name":"Bob","big":123456789012345678901}]'
    return Sample(
        "people.json", data, ("[0].name: Ada", "[0].score: 1.10", "[0].tags[0]: xé", "[1].big: 123456789012345678901")
    )


def notebook() -> Sample:
    cells = [
        {"cell_type": "markdown", "source": ["# Sales\n", "\n", "See ![p](data:image/png;base64,iVBORw0KGgo=) – ü."]},
        {"cell_type": "code", "source": "print(1)\nplot()", "outputs": [
            {"output_type": "stream", "text": ["10 %\r100 %\n", "\x1b[31mred\x1b[0m\n"]},
            {"output_type": "display_data", "data": {"image/png": "iVBOR" * 900, "text/plain": ["<Figure size 1x1>"]}},
            {"output_type": "execute_result", "data": {"text/html": "<b>7</b>", "text/plain": ["   n\n0  7"]}},
            {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": ["long"]},
        ]},
        {"cell_type": "raw", "source": "Raw words."},
    ]  # fmt: skip
    texts = (
        "# Sales", "See ![p]() – ü.", "print(1)\nplot()", "100 %\nred", "   n\n0  7", "KeyError: 'x'", "Raw words.",
    )  # fmt: skip
    return Sample("sales.ipynb", dumps({"cells": cells, "nbformat": 4}).encode(), texts)


def csv() -> Sample:
    return Sample("people.csv", b'name;age\n"Lovelace; Ada";36\n', ("name | age", "Lovelace; Ada | 36"))


def docx() -> Sample:
    document = word.Document()
    document.core_properties.title = "Plan"
    document.add_heading("The plan", 1)
    document.add_paragraph("Body with ").add_run("bold").bold = True
    document.add_heading("Costs", 2)
    table = document.add_table(2, 2)
    for place, text in enumerate(("item", "price", "tea", "2 €")):
        table.cell(place // 2, place % 2).text = text
    document.add_paragraph("After the table.")
    file = io.BytesIO()
    document.save(file)
    texts = ("The plan", "Body with bold", "Costs", "item | price\ntea | 2 €", "After the table.")
    return Sample("plan.docx", file.getvalue(), texts)


def pptx() -> Sample:
    show = powerpoint.Presentation()
    for number in (1, 2):
        slide = show.slides.add_slide(show.slide_layouts[1])
        assert slide.shapes.title is not None
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text_frame.text = f"Point {number}"
    table = slide.shapes.add_table(1, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    notes = slide.notes_slide.notes_text_frame
    assert notes is not None
    notes.text = "Say this aloud."
    file = io.BytesIO()
    show.save(file)
    texts = ("Slide 1", "Point 1", "Slide 2", "Point 2", "left | right", "Say this aloud.")
    return Sample("show.pptx", file.getvalue(), texts)


def xlsx() -> Sample:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Staff"
    for cells in (("name", "since", "pay"), ("Ada", date(2024, 2, 29), 1234.5), ("Bob", None, 7)):
        sheet.append(cells)
    book.create_sheet("More").append(("ü", True))
    file = io.BytesIO()
    book.save(file)
    texts = ("Staff", "name | since | pay", "Ada | 2024-02-29 | 1234.5", "Bob |  | 7", "More", "ü | TRUE")
    return Sample("staff.xlsx", file.getvalue(), texts)


def pdf_of(pages: list[str], trailer: str = "", title: str = "") -> bytes:
    """A PDF by hand, a line of text on each page: there is no writer among the libraries."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for number, text in enumerate(pages):
        objects += [
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F 3 0 R>>>>"
            f"/Contents {5 + 2 * number} 0 R>>",
            f"<</Length {len(text) + 30}>>stream\nBT /F 12 Tf 72 700 Td ({text}) Tj ET\nendstream",
        ]
    if title:
        objects.append(f"<</Title({title})>>")
        trailer += f"/Info {len(objects)} 0 R"
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += f"{number} 0 obj{body}endobj\n".encode("cp1252")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = (
        f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}trailer<</Size {len(places) + 1}/Root 1 0 R{trailer}>>"
    )
    return data + f"{end}\nstartxref\n{len(data)}\n%%EOF".encode()


def pdf() -> Sample:
    found: list[dict[str, Any]] = [
        {"label": "text", "text": "First page café"},
        {"label": "text", "text": "Second page", "page": 2},
    ]
    data = pdf_of(["First page caf\xe9", "Second page"], f"\n%{docling_double.said(found).decode()}\n", "Two pages")
    return Sample("paper.pdf", data, ("First page café", "Second page"))


def zipped(members: dict[str, bytes | str], packing: int = ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w", packing) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
)
BOOK = (
    '<package xmlns="http://www.idpf.org/2007/opf"><metadata><t:title xmlns:t="http://purl.org/dc/elements/1.1/">Tale</t:title>'
    '</metadata><manifest><item id="b" href="two%20b.xhtml"/><item id="a" href="one.xhtml"/></manifest>'
    '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
)


def epub() -> Sample:
    chapter = '<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{}</h1><p>{}</p></body></html>'
    members: dict[str, bytes | str] = {
        "mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "OPS/book.opf": BOOK,
        "OPS/two b.xhtml": chapter.format("Two", "The end – é."), "OPS/one.xhtml": chapter.format("One", "It began."),
    }  # fmt: skip
    return Sample("tale.epub", zipped(members), ("One", "It began.", "Two", "The end – é."))


def eml() -> Sample:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Grüße"
    message.set_content("Hello,\n\nsee the table – é.\n")
    message.add_attachment(csv().data, maintype="text", subtype="csv", filename="people.csv")
    message.add_attachment(b"\x89PNG" + bytes(99), maintype="image", subtype="png", filename="photo.png")
    texts = ("From: a@example.com", "Subject: Grüße", "Hello,", "see the table – é.", "people.csv", "name | age")
    return Sample("letter.eml", message.as_bytes(), texts)


def zip() -> Sample:  # noqa: A001  named like the format
    inner = zipped({"deep/note.txt": "Deep words."})
    members: dict[str, bytes | str] = {
        "guide.md": "# Guide\n\nWords.", "empty/": "", "photo.png": b"\x89PNG" + bytes(99), "inner.zip": inner,
        "plan.docx": docx().data,
    }  # fmt: skip
    return Sample(
        "all.zip", zipped(members), ("guide.md", "Words.", "inner.zip", "deep/note.txt", "Deep words.", "The plan")
    )


def docling() -> Sample:
    """A scan, with the double that finds in it what is written into it."""
    found: list[dict[str, Any]] = [
        {"label": "title", "text": "The scan"},
        {"label": "text", "text": "Words é."},
        {"label": "section_header", "text": "Costs", "level": 1, "page": 2},
        {"label": "list_item", "text": "one", "page": 2},
        {"label": "table", "grid": [["item", "price"], ["tea", "2 €"]], "page": 2},
    ]
    texts = ("The scan", "Words é.", "Costs", "- one", "item | price\ntea | 2 €")
    limits = replace(PLAIN, docling=docling_double.setting())
    return Sample("scan.png", docling_double.picture(found), texts, limits)


SAMPLES: dict[str, Callable[[], Sample]] = {
    each.__name__: each
    for each in (text, markdown, code, html, json, notebook, csv, docx, pptx, xlsx, pdf, epub, eml, zip, docling)
}
