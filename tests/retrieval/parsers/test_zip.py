"""Archives: members by name, and what of them is left out (attacks: tests/retrieval/test_container.py)."""

import io
from zipfile import ZipFile, ZipInfo

import pytest

from retrieval.documents import Document, Limits, Unreadable
from retrieval.formats import parse
from tests.retrieval.parsers.samples import html, zipped


def read(members: dict[str, bytes | str]) -> Document:
    return parse(zipped(members), "a.zip", Limits())


def test_members_in_their_order_under_their_names() -> None:
    document = read({"b/two.txt": "Two.", "a/one.md": "# One\n\nText."})
    assert [(piece.kind, piece.level, piece.text) for piece in document.pieces()] == [
        ("heading", 1, "b/two.txt"), ("text", 0, "Two."), ("heading", 1, "a/one.md"), ("heading", 2, "# One"),
        ("text", 0, "Text."),
    ]  # fmt: skip


def test_what_programs_leave_behind_is_no_member() -> None:
    document = read({"__MACOSX/a.txt": "x", ".git/config": "x", "empty.txt": "", "a.txt": "a"})
    assert (document.text, document.notes) == ("a.txt\n\na", ())


def test_members_in_other_encodings() -> None:
    document = read(
        {"ö/日本.html": html().data, "kyrill.txt": "Привет, как дела сегодня? Всё хорошо.".encode("koi8-r")}
    )
    assert "ö/日本.html" in document.text
    assert "Привет, как дела" in document.text


@pytest.mark.parametrize(
    ("name", "codec"), [("Отчет1", "cp866"), ("Größe1", "cp437"), ("Zażółć gęślą", "cp852"), ("Prüfung", "utf-8")]
)
def test_names_of_old_programs(name: str, codec: str) -> None:
    written = name.encode(codec)
    data = zipped({f"{'x' * len(written)}.txt": "words", "b.txt": "b"}).replace(b"x" * len(written), written)
    assert parse(data, "a.zip", Limits()).text == f"{name}.txt\n\nwords\n\nb.txt\n\nb"


def test_a_name_that_comes_twice() -> None:
    data = zipped({"a1.txt": "first", "a2.txt": "second"}).replace(b"a2.txt", b"a1.txt")
    assert parse(data, "a.zip", Limits()).text == "a1.txt\n\nfirst\n\na1.txt\n\nsecond"


def test_a_member_that_cannot_be_read_is_named() -> None:
    document = read({"a.pdf": b"%PDF-1.7 obj nothing", "b.txt": "b"})
    assert document.text == "b.txt\n\nb"
    assert document.notes == ("a.pdf: The PDF is broken. Open it in its program and save it again.",)


def test_names_that_lead_out_are_only_names() -> None:
    assert read({"../../etc/passwd": "words"}).text == "../../etc/passwd\n\nwords"


def test_links_are_texts() -> None:
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        link = ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "../secret")
    assert parse(file.getvalue(), "a.zip", Limits()).text == "link\n\n../secret"


def test_nothing_that_can_be_read() -> None:
    for members in ({}, {"a.png": b"\x89PNG\r\n\x1a\n" + bytes(99)}):
        with pytest.raises(Unreadable) as caught:
            read(dict(members))
        assert caught.value.code == "invalid_file"
