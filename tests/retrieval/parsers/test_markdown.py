"""Markdown's structure."""

from retrieval.documents import Limits
from retrieval.formats import parse
from tests.retrieval.parsers.samples import markdown


def kinds(text: str) -> list[tuple[str, int, str]]:
    document = parse(text.encode(), "a.md", Limits())
    return [(piece.kind, piece.level, piece.text) for piece in document.pieces()]


def test_structure() -> None:
    document = parse(markdown().data, "a.md", Limits())
    assert document.title == "Guide"
    assert document.text == markdown().data.decode()
    assert [(block.kind, block.level) for block in document.blocks] == [
        ("heading", 1), ("text", 0), ("code", 0), ("table", 0), ("heading", 2), ("text", 0),
    ]  # fmt: skip


def test_settings_before_the_page_are_text() -> None:
    assert kinds("---\ntitle: a\n---\n\n# B\n") == [("text", 0, "---\ntitle: a\n---"), ("heading", 1, "# B")]


def test_lists_and_quotes() -> None:
    assert kinds("- a\n\n  - b\n\n> c\n\n---\n\n[x]: /y\n") == [
        ("text", 0, "- a"), ("text", 0, "- b"), ("text", 0, "> c"), ("text", 0, "---\n\n[x]: /y"),
    ]  # fmt: skip


def test_a_table_is_one_block() -> None:
    assert kinds("| a |\n|---|\n| b |\n| c |\n") == [("table", 0, "| a |\n|---|\n| b |\n| c |")]
