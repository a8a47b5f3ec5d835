"""E-mails: texts in any encoding, attachments in each other, and mails that are none."""

from email.message import EmailMessage

import pytest

from retrieval.documents import Document, Limits
from retrieval.formats import parse
from tests.retrieval.parsers.samples import docx, pdf, zipped
from tests.retrieval.parsers.test_contract import document_or_not


def read(data: bytes, limits: Limits | None = None) -> Document:
    return parse(data, "a.eml", limits or Limits())


def mail(text: str = "Hello.", subject: str = "One") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", subject
    message.set_content(text)
    return message


def raw(head: str, body: bytes) -> bytes:
    return f"Subject: s\r\nMIME-Version: 1.0\r\n{head}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-8859-15", "Preis: 5 €, Größe"), ("koi8-r", "Привет, мир"), ("iso-2022-jp", "日本語です"),
        ("shift_jis", "日本語です"), ("utf-16-le", "wide ü"), ("utf-8", "é 🦢"),
    ],
)  # fmt: skip
def test_a_text_in_the_encoding_that_it_names(charset: str, text: str) -> None:
    head = f"Content-Type: text/plain; charset={charset}"
    assert text in read(raw(head, text.encode(charset))).text


def test_quoted_printable_base64_and_encoded_headers() -> None:
    quoted = raw(
        "Content-Type: text/plain; charset=latin-1\r\nContent-Transfer-Encoding: quoted-printable", b"Gr=FC=DFe=\r\n!"
    )
    assert read(quoted).text.endswith("Grüße!")
    head = "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nTo: =?iso-8859-1?q?J=F6rg?= <j@example.com>\r\n\r\nText"
    document = read(head.encode())
    assert document.title == "Grüße"
    assert "To: Jörg <j@example.com>" in document.text


def test_headers_first_then_paragraphs() -> None:
    document = read(bytes(mail("One.\n\nTwo.")))
    assert [piece.text for piece in document.pieces()] == ["From: a@example.com\nSubject: One", "One.", "Two."]


def test_of_two_versions_the_plain_one_and_html_where_it_is_alone() -> None:
    both = mail("Plain.")
    both.add_alternative("<p>Marked</p>", subtype="html")
    assert "Marked" not in read(bytes(both)).text
    alone = raw("Content-Type: text/html; charset=koi8-r", "<h1>Глава</h1><script>x</script><p>Текст".encode("koi8-r"))
    assert [(piece.kind, piece.text) for piece in read(alone).pieces()][1:] == [("heading", "Глава"), ("text", "Текст")]


def test_a_saved_page_is_read_with_its_pictures_left_out() -> None:
    page = EmailMessage()
    page["Subject"] = "page"
    page.set_content("<p>Page</p>", subtype="html")
    page.add_related(b"GIF89a" + bytes(range(32)) * 3, "image", "gif", cid="<a>")
    assert parse(bytes(page), "a.mhtml", Limits()).text == "Subject: page\n\nPage"


def test_attachments_in_their_order_under_their_names() -> None:
    message = mail()
    message.add_attachment(docx().data, maintype="application", subtype="octet-stream", filename="plän.bin")
    message.add_attachment(pdf().data, maintype="application", subtype="pdf", filename="paper.pdf")
    document = read(bytes(message))
    texts = [piece.text for piece in document.pieces() if piece.kind == "heading"]
    assert texts == ["plän.bin", "The plan", "Costs", "paper.pdf"]
    assert [block.page for block in document.blocks][-2:] == [1, 2]
    assert [block.level for block in document.blocks if block.level] == [1, 2, 3, 1]


def test_an_attached_text_in_the_encoding_that_only_the_mail_names() -> None:
    message = mail()
    message.add_attachment("Привет", charset="koi8-r", filename="a.txt")
    assert "Привет" in read(bytes(message)).text


def test_a_second_text_without_a_name_is_text_under_no_heading() -> None:
    message = mail("First.")
    message.add_attachment(b"\x89PNG\r\n\x1a\n" + bytes(90), maintype="image", subtype="png", filename="a.png")
    message.add_attachment("You get this mail: because.\n", disposition="inline")
    document = read(bytes(message))
    assert document.text.endswith("You get this mail: because.")
    assert not any(block.level for block in document.blocks)
    assert [note.partition(":")[0] for note in document.notes] == ["a.png"]


def test_mails_in_mails() -> None:
    message = mail("innermost")
    for number in range(2):
        outer = mail(f"outer {number}")
        outer.add_attachment(message)
        message = outer
    document = read(bytes(message))
    assert document.text.index("outer 1") < document.text.index("outer 0") < document.text.index("innermost")
    assert [block.level for block in document.blocks if block.level] == [1, 2]


def test_mails_in_mails_without_end() -> None:
    message = mail("innermost")
    for _ in range(9):
        outer = mail("outer")
        outer.add_attachment(message)
        message = outer
    document = read(bytes(message))
    assert "innermost" not in document.text
    assert "deep" in document.notes[0]
    document_or_not(b"Content-Type: message/rfc822\r\n\r\n" * 5000 + b"Subject: x\r\n\r\nend", "a.eml", Limits())
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(5000))
    document_or_not(b"Subject: s\r\n" + parts, "a.eml", Limits())


def test_no_part_is_lost() -> None:
    inner = mail("Body.")
    inner.add_attachment("Inside.", filename="inside.txt")
    outer = EmailMessage()
    outer["Subject"] = "list"
    outer.make_mixed()
    outer.attach(inner)
    outer.attach(mail("Footer."))
    marked = EmailMessage()
    marked.set_content("<p>Marked.", subtype="html")
    outer.attach(marked)
    text = read(bytes(outer)).text
    assert [text.count(word) for word in ("Body.", "Inside.", "Footer.", "Marked.")] == [1, 1, 1, 1]


def test_a_mail_that_is_one_file_or_one_mail() -> None:
    whole = EmailMessage()
    whole["Subject"] = "scan"
    whole.set_content(pdf().data, "application", "pdf", filename="paper.pdf")
    assert "First page" in read(bytes(whole)).text
    assert "innermost" in read(b"Subject: fwd\r\nContent-Type: message/rfc822\r\n\r\n" + bytes(mail("innermost"))).text


def test_a_delivery_report() -> None:
    head = "Content-Type: multipart/report; boundary=x"
    status = b"Content-Type: message/delivery-status\r\n\r\nStatus: 5.1.1\r\n\r\nAction: failed"
    text = read(raw(head, b"--x\r\n\r\nSorry.\r\n--x\r\n" + status + b"\r\n--x--")).text
    assert all(word in text for word in ("Sorry.", "Status: 5.1.1", "Action: failed"))


def test_an_attachment_that_is_broken_or_a_bomb_costs_only_itself() -> None:
    message = mail()
    message.add_attachment(zipped({"a": bytes(40 * 2**20)}), maintype="application", subtype="zip", filename="bomb.zip")
    message.add_attachment(b"fine", maintype="application", subtype="octet-stream", filename="fine.txt")
    document = read(bytes(message))
    assert document.text.endswith("fine.txt\n\nfine")
    assert document.notes[0].startswith("bomb.zip: ")


@pytest.mark.parametrize(
    "data",
    [
        raw("Content-Type: multipart/mixed; boundary=x", b"--x\r\n\r\nno end"),
        raw("Content-Type: multipart/mixed", b"words"),
        raw("Content-Type: text/plain; charset=nonsense", b"w\xf6rds"),
        raw("Content-Transfer-Encoding: base64", b"!!! not base64"),
        b"no header at all, only words",
    ],
)
def test_mails_that_are_broken_lose_no_word(data: bytes) -> None:
    text = read(data).text
    assert "no end" in text or "words" in text or "wörds" in text or "base64" in text
