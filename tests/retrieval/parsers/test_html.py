"""Pages."""

import pytest

from retrieval.documents import Limits
from retrieval.formats import choose, formats, parse
from tests.retrieval.parsers.samples import html


def text(page: str) -> str:
    return parse(page.encode(), "a.html", Limits()).text


def test_what_nobody_sees_is_dropped() -> None:
    document = parse(html().data, "a.html", Limits())
    assert document.title == "T & t"
    assert "evil" not in document.text
    assert "unseen" not in document.text


def test_structure() -> None:
    document = parse(html().data, "a.html", Limits())
    assert [block.kind for block in document.blocks] == ["heading", "text", "text", "code", "table", "text"]


def test_lists_and_tables_in_tables() -> None:
    assert text("<ul><li>a</li><li>b <i>c</i></li></ul>") == "- a\n\n- b c"
    assert text("<table><tr><td>out<table><tr><td>in</table></table>") == "out\n\nin"


TEX = '<annotation encoding="application/x-tex">E=mc^2</annotation>'
SIGNS = "<mi>E</mi><mo>=</mo><msup> <mi>c</mi> <mn>2</mn></msup>"


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        ("<table><tr><td>H<sub>2</sub>O un<b>believ</b>able<td>a<br>b<p>c</p>d</table>", "H2O unbelievable | a b c d"),
        ("<table><tr><td>1<script>evil()</script><style>x{}</style><i hidden>no</i></table>", "1"),
        ("<table><caption>Fees <b>2026</b></caption><tr><td>1<tr hidden><td>2</table>", "Fees 2026\n\n1"),
        ("<h1>Chapter 1<br>Intro<i>duction</i></h1>", "Chapter 1 Introduction"),
        ("<h2>Install<a class=headerlink href='#install'>¶</a></h2>", "Install"),
        ("<pre>a<br>b\n <b>c</b><div>d</div><div>e</div></pre>", "a\nb\n c\nd\ne"),
        ("<p>Energy is <math><mrow>" + SIGNS + "</mrow></math>.", "Energy is E=c^2."),
        (f"<td><p>So <math><semantics><mrow>{SIGNS}</mrow>{TEX}</semantics></math>"
         "<span class=katex-html aria-hidden=true>E=mc2</span>!", "So E=mc^2!"),
    ],
)  # fmt: skip
def test_what_stands_together_stays_together(page: str, seen: str) -> None:
    assert text(page) == seen


def test_its_own_word_about_its_encoding() -> None:
    page = '<html><meta charset="shift_jis"><p>日本</p>'.encode("shift_jis")
    assert parse(page, "a.html", Limits()).text == "日本"


def test_a_page_nested_deeper_than_the_stack() -> None:
    assert "deep" in text("<div>" * 50_000 + "deep")


@pytest.mark.parametrize(
    "start", ["<!DOCTYPE html>", "\n<html lang=en>", '<?xml version="1.0"?>\n<html>', "<!-- a -->\n<html>"]
)
def test_pages_are_known_by_how_they_begin(start: str) -> None:
    assert choose(f"{start}<p>a".encode(), "download", Limits()) is formats()["html"]
