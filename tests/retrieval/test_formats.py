"""Which parser reads a file."""

from zipfile import ZIP_STORED

import pytest

from retrieval.documents import Limits, Unreadable
from retrieval.formats import ENCRYPTED, OLE, parse
from tests.retrieval.parsers.samples import zipped


def refused(data: bytes, filename: str) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        parse(data, filename, Limits())
    return caught.value


def test_old_office_files_name_the_way_out() -> None:
    old = refused(OLE + bytes(600), "a.doc")
    assert (old.code, "DOCX" in old.message) == ("unsupported_file", True)
    assert "password" in refused(OLE + bytes(600) + ENCRYPTED, "a.docx").message


@pytest.mark.parametrize(
    ("data", "filename"),
    [
        (rb"{\rtf1\ansi{\fonttbl\f0\fswiss Helvetica;}\f0 Words.}", "a.rtf"),
        (rb"{\rtf1\ansi Words.}", "a.doc"),
        (zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"}, ZIP_STORED), "a.odt"),
        (zipped({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}, ZIP_STORED), "a.zip"),
    ],
)
def test_what_would_pass_for_another_format_names_the_way_out(data: bytes, filename: str) -> None:
    old = refused(data, filename)
    assert (old.code, "DOCX" in old.message) == ("unsupported_file", True)


@pytest.mark.parametrize("start", [b"GIF89a", b"\x1f\x8b\x08", b"\0\0\1\0"])
def test_small_files_that_are_no_text(start: bytes) -> None:
    assert refused(start + b"\1\0\1\0ab", "a.txt").code == "unsupported_file"


def test_a_picture_is_unsupported() -> None:
    assert "ingest.docling" in refused(b"\x89PNG\r\n\x1a\n" + bytes(9), "scan.png").message
    assert refused(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "scan.png").code == "unsupported_file"


def test_text_that_is_called_a_pdf_is_text() -> None:
    assert parse(b"plain words", "a.pdf", Limits()).text == "plain words"
