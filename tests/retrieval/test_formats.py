"""Which parser reads a file."""

import pytest

from retrieval.documents import Limits, Unreadable
from retrieval.formats import ENCRYPTED, OLE, parse


def refused(data: bytes, filename: str) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        parse(data, filename, Limits())
    return caught.value


def test_old_office_files_name_the_way_out() -> None:
    old = refused(OLE + bytes(600), "a.doc")
    assert (old.code, "DOCX" in old.message) == ("unsupported_file", True)
    assert "password" in refused(OLE + bytes(600) + ENCRYPTED, "a.docx").message


def test_a_picture_is_unsupported() -> None:
    assert refused(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "scan.png").code == "unsupported_file"


def test_text_that_is_called_a_pdf_is_text() -> None:
    assert parse(b"plain words", "a.pdf", Limits()).text == "plain words"
