"""Presentations: slides in the order in which they are shown."""

import io
from zipfile import ZipFile

import pptx as powerpoint
import pytest
from pptx.util import Inches

from retrieval.documents import Document, Limits, Unreadable
from retrieval.formats import parse
from tests.retrieval.parsers.samples import pptx, zipped

A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
NAMES = f'xmlns:a="{A}" xmlns:p="{P}" xmlns:r="{R}"'


def shape(text: str, role: str | None = None) -> str:
    place = f'<p:ph type="{role}"/>' if role else ""
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr><p:nvPr>{place}</p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def show(*slides: str, shown: tuple[int, ...] | None = None, mode: str = "", names: str = NAMES) -> bytes:
    """Slides of this XML, numbered from 1 as files; `shown` is their order."""
    order = shown or tuple(range(1, len(slides) + 1))
    ids = "".join(f'<p:sldId r:id="r{number}"/>' for number in order)
    related = "".join(
        f'<Relationship Id="r{number}" Target="slides/slide{number}.xml"{mode}/>' for number in range(1, 9)
    )
    members: dict[str, bytes | str] = {
        f"ppt/slides/slide{number}.xml": f"<p:sld {names}><p:spTree>{inside}</p:spTree></p:sld>"
        for number, inside in enumerate(slides, 1)
    }
    members["ppt/presentation.xml"] = f"<p:presentation {names}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    members["ppt/_rels/presentation.xml.rels"] = f'<Relationships xmlns="{PACKAGE}">{related}</Relationships>'
    return zipped(members)


def read(data: bytes, limits: Limits | None = None) -> Document:
    return parse(data, "a.pptx", limits or Limits())


def refused(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        read(data, limits)
    assert caught.value.code == "invalid_file"
    return caught.value.message


def test_the_order_is_the_shows_and_pages_count_from_one() -> None:
    document = read(show(shape("first file"), shape("second file"), shown=(2, 1)))
    assert [(piece.text, piece.page) for piece in document.pieces()] == [("second file", 1), ("first file", 2)]


def test_titles_are_headings_and_what_every_slide_repeats_is_left_out() -> None:
    slide = (
        shape("Head\nline", "ctrTitle") + shape("Point\nSub", "body") + shape("7", "sldNum") + shape("May", "dt")
        + shape("Firm", "ftr")
    )  # fmt: skip
    document = read(show(slide))
    assert [(piece.kind, piece.text) for piece in document.pieces()] == [
        ("heading", "Head line"),
        ("text", "Point\nSub"),
    ]


def test_groups_are_entered_and_line_breaks_kept() -> None:
    inner = "<p:sp><p:txBody><a:p><a:r><a:t>a</a:t></a:r><a:br/><a:r><a:t>b</a:t></a:r></a:p></p:txBody></p:sp>"
    assert read(show(f"<p:grpSp><p:grpSp>{inner}</p:grpSp></p:grpSp>")).text == "a\nb"


def test_tables_and_notes_as_powerpoint_makes_them() -> None:
    made = powerpoint.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[6])
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for place, text in enumerate(("a", "b\nc", "1", "2")):
        table.cell(place // 2, place % 2).text = text
    notes = slide.notes_slide.notes_text_frame
    assert notes is not None
    notes.text = "Aloud."
    made.slides.add_slide(made.slide_layouts[6]).shapes.add_textbox(0, 0, 9, 9).text_frame.text = "Box"
    file = io.BytesIO()
    made.save(file)
    document = read(file.getvalue())
    assert [(piece.kind, piece.text, piece.page) for piece in document.pieces()] == [
        ("table", "a | b c\n1 | 2", 1), ("text", "Aloud.", 1), ("text", "Box", 2),
    ]  # fmt: skip


def test_formulas_and_diagrams() -> None:
    name = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    over, under = (f"<m:{part}><m:r><m:t>{part[0]}</m:t></m:r></m:{part}>" for part in ("num", "den"))
    signs = f'<m:oMath xmlns:m="{name}"><m:f>{over}{under}</m:f></m:oMath>'
    slide = f"<p:sp><p:txBody><a:p><a:r><a:t>Is </a:t></a:r>{signs}</a:p></p:txBody></p:sp>"
    file = io.BytesIO(show(slide))
    with ZipFile(file, "a") as archive:
        related = (
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Target="../diagrams/data1.xml"/></Relationships>'
        )
        archive.writestr("ppt/slides/_rels/slide1.xml.rels", related)
        shapes = "".join(f"<a:p><a:r><a:t>{word}</a:t></a:r></a:p>" for word in ("Plan", "Build"))
        archive.writestr("ppt/diagrams/data1.xml", f"<d {NAMES}>{shapes}</d>")
        archive.writestr("ppt/comments/comment1.xml", "<c/>")
        archive.writestr("ppt/charts/chart1.xml", "<c/>")
    document = read(file.getvalue())
    assert [(piece.text, piece.page) for piece in document.pieces()] == [("Is n/d", 1), ("Plan\nBuild", 1)]
    assert document.notes == ("Charts were left out.", "Comments were left out.")


def test_the_strict_kind_and_any_character() -> None:
    strict = NAMES.replace("schemas.openxmlformats.org", "purl.oclc.org/ooxml").replace("/2006", "")
    assert read(show(shape("日本 🦢 é", "title"), names=strict)).blocks[0].kind == "heading"


def test_nothing_outside_is_followed() -> None:
    assert "no text" in refused(show(shape("a"), mode=' TargetMode="External"'))


def test_a_slide_that_is_missing_is_said() -> None:
    assert "slide2.xml' is missing" in refused(show(shape("a"), shown=(1, 2)))


def test_too_many_slides_and_a_cut_file() -> None:
    assert "3 slides" in refused(show(*(shape("a") for _ in range(3))), Limits(pages=2))
    assert "broken" in refused(pptx().data[:-40])
