"""Word documents: what stands where, what was deleted, and what is broken."""

import io

import docx as word
import pytest
from docx.enum.style import WD_STYLE_TYPE

from retrieval.documents import Document, Limits, Unreadable
from retrieval.formats import parse
from tests.retrieval.parsers.samples import docx, zipped

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
RELATED = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Target="diagrams/data1.xml"/></Relationships>'
)
MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"


def body(inside: str, name: str = W, **parts: str) -> bytes:
    """A document of this XML; `parts` are other members of `word/`."""
    main = f'<w:document xmlns:w="{name}" xmlns:mc="{MC}"><w:body>{inside}</w:body></w:document>'
    others = {f"word/{part}.xml": f'<w:{part} xmlns:w="{name}">{xml}</w:{part}>' for part, xml in parts.items()}
    return zipped({"word/document.xml": main, **others})


def read(data: bytes) -> Document:
    return parse(data, "a.docx", Limits())


def p(text: str, before: str = "") -> str:
    return f"<w:p>{before}<w:r><w:t>{text}</w:t></w:r></w:p>"


def r(sign: str) -> str:
    return f"<m:r><m:t>{sign}</m:t></m:r>"


def refused(data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read(data)
    assert caught.value.code == "invalid_file"
    return caught.value.message


def test_headings_by_style_by_outline_and_by_a_style_of_ones_own() -> None:
    made = word.Document()
    made.add_heading("Title of all", 0)
    made.add_heading("Part", 1)
    made.add_heading("Deep", 9)
    own = made.styles.add_style("Ours", WD_STYLE_TYPE.PARAGRAPH)
    outline = own.element.get_or_add_pPr().makeelement(f"{{{W}}}outlineLvl", {f"{{{W}}}val": "2"})
    own.element.get_or_add_pPr().append(outline)
    made.add_paragraph("Our own", style="Ours")
    made.add_paragraph("Text.")
    file = io.BytesIO()
    made.save(file)
    levels = [(block.kind, block.level) for block in read(file.getvalue()).blocks]
    assert levels == [("heading", 1), ("heading", 1), ("heading", 9), ("heading", 3), ("text", 0)]
    assert read(body(p("By itself", '<w:pPr><w:outlineLvl w:val="1"/></w:pPr>'))).blocks[0].level == 2
    assert read(body(p("Text", '<w:pPr><w:outlineLvl w:val="9"/></w:pPr>'))).blocks[0].level == 0


def test_what_was_deleted_is_gone_and_what_was_inserted_is_there() -> None:
    inside = (
        "<w:p><w:r><w:t>a </w:t></w:r><w:del><w:r><w:delText>old</w:delText><w:t>old</w:t></w:r></w:del>"
        "<w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    )
    assert read(body(inside)).text == "a new"


def test_links_fields_tabs_and_breaks() -> None:
    inside = (
        "<w:p><w:hyperlink><w:r><w:t>link</w:t></w:r></w:hyperlink><w:fldSimple><w:r><w:t> 7</w:t></w:r></w:fldSimple>"
        "<w:r><w:tab/><w:t>x</w:t><w:br/><w:t>y</w:t><w:noBreakHyphen/><w:t>z</w:t></w:r></w:p>"
    )
    assert read(body(inside)).text == "link 7\tx\ny-z"


def test_a_text_box_once_and_below_its_paragraph() -> None:
    box = f"<w:txbxContent>{p('in the box')}</w:txbxContent>"
    drawing = f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    inside = f"<w:p><w:r><w:t>before</w:t>{drawing}</w:r></w:p>{p('after')}"
    assert [piece.text for piece in read(body(inside)).pieces()] == ["before", "in the box", "after"]


def test_a_table_in_a_table_is_not_read_twice() -> None:
    inner = f"<w:tbl><w:tr><w:tc>{p('deep')}</w:tc></w:tr></w:tbl>"
    inside = f"<w:tbl><w:tr><w:tc>{p('a')}{inner}</w:tc><w:tc>{p('b')}{p('c')}</w:tc></w:tr></w:tbl>{p('end')}"
    assert [piece.text for piece in read(body(inside)).pieces()] == ["a deep | b c", "end"]


def test_content_controls_are_entered() -> None:
    row = f"<w:sdt><w:sdtContent><w:tr><w:tc>{p('in a row')}</w:tc></w:tr></w:sdtContent></w:sdt>"
    inside = f"<w:sdt><w:sdtContent>{p('controlled')}</w:sdtContent></w:sdt><w:tbl>{row}</w:tbl>"
    assert read(body(inside)).text == "controlled\n\nin a row"


def test_pages_as_word_last_laid_them_out() -> None:
    turn = "<w:r><w:lastRenderedPageBreak/></w:r>"
    document = read(body(p("one") + p("two", turn) + p("still two") + p("three", turn)))
    assert [block.page for block in document.blocks] == [1, 1, 2, 2]
    assert [block.page for block in read(body(p("one"))).blocks] == [None]


def test_notes_come_last() -> None:
    document = read(body(p("body"), footnotes=f"<w:footnote>{p('foot')}</w:footnote>", endnotes=p("end")))
    assert document.text == "body\n\nfoot\n\nend"


def test_formulas_and_diagrams_are_read_and_what_is_not_is_said() -> None:
    signs = f"{r('E=')}<m:sSup><m:e>{r('mc')}</m:e><m:sup>{r('2')}</m:sup><m:sub/></m:sSup>"
    inside = f'<w:p><w:r><w:t>So </w:t></w:r><m:oMath xmlns:m="{M}">{signs}</m:oMath><w:r><w:t>.</w:t></w:r></w:p>'
    parts = {"comments": f"<w:comment>{p('Check')}</w:comment>", "header1": p("Secret"), "header2": "", "footer1": ""}
    document = read(body(inside, **parts))
    assert document.text == "So E=mc^2."
    assert document.notes == ("Running heads and feet were left out.", "Comments were left out.")
    shapes = "".join(f"<a:p><a:r><a:t>{word}</a:t></a:r></a:p>" for word in ("Plan", "", "Build"))
    members: dict[str, bytes | str] = {
        "word/document.xml": f'<w:document xmlns:w="{W}">{p("text")}</w:document>',
        "word/_rels/document.xml.rels": RELATED,
        "word/charts/chart1.xml": "<c/>",
        "word/diagrams/data1.xml": f'<d xmlns:a="{A}">{shapes}</d>',
    }
    document = read(zipped(members))
    assert (document.text, document.notes) == ("text\n\nPlan\nBuild", ("Charts were left out.",))


def test_the_strict_kind() -> None:
    assert read(body(p("strict ü"), STRICT)).text == "strict ü"


def test_any_character() -> None:
    text = "é 日本 🦢 \u202eمرحبا\u202c a\u0301 &lt;"
    assert read(body(p(text))).text == text.replace("&lt;", "<")


def test_a_broken_description_costs_the_title_only() -> None:
    members: dict[str, bytes | str] = {
        "word/document.xml": f'<w:document xmlns:w="{W}">{p("text")}</w:document>',
        "docProps/core.xml": "<a",
    }
    assert (read(zipped(members)).title, read(zipped(members)).text) == ("", "text")


def test_broken_ones_are_refused() -> None:
    whole = docx().data
    assert "broken" in refused(whole[: len(whole) // 2])
    assert "not XML" in refused(body(p("&nothing;").replace(";", "")))
    assert "entities" in refused(zipped({"word/document.xml": '<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>'}))
    assert "no text" in refused(body("<w:p/>"))
    locked = bytearray(whole)
    for place in range(len(locked) - 4):
        if locked[place : place + 4] == b"PK\x01\x02":
            locked[place + 8] |= 1
    assert "password" in refused(bytes(locked))
