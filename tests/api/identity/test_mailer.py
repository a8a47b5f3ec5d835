"""Against a real SMTP server."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.identity import mailer as module
from api.identity.mailer import FOLDER, Mailer, written
from configs.identity_specs import SmtpSpec
from tests.fixtures.certificates import write_pair
from tests.fixtures.links import until
from tests.fixtures.mailboxes import PASSWORD, USER, Mailboxes, mailboxes

SITE = "https://chat.example.com"
SOMEBODY = "somebody@example.com"


def mailer(port: int, security: str = "none", **more: Any) -> Mailer:
    smtp = {"host": "localhost", "port": port, "security": security, "sender": "manta@example.com", **more}
    return Mailer(SmtpSpec.model_validate(smtp), SITE)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_S", (0.0, 0.0, 0.0))


@pytest.fixture
async def boxes() -> AsyncIterator[Mailboxes]:
    async with mailboxes() as made:
        yield made


@pytest.fixture
def server_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Of a server whose certificate this machine trusts."""
    pair = write_pair(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(pair.certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


async def test_a_mail_arrives_with_its_link(boxes: Mailboxes) -> None:
    sender = mailer(boxes.port)
    sender.send(SOMEBODY, "reset", path="/welcome#reset_password=abc")
    await sender.flush()
    (mail,) = boxes.mails
    assert (mail["from"], mail["to"], mail["subject"]) == ("manta@example.com", SOMEBODY, "Choose a new password")
    assert (mail["auto-submitted"], mail.get_content_type()) == ("auto-generated", "text/plain")
    assert mail["message-id"].endswith("@example.com>")
    assert mail["date"].datetime is not None
    assert f"\n{SITE}/welcome#reset_password=abc\n" in boxes.text()


@pytest.mark.parametrize("template", sorted(path.stem for path in FOLDER.iterdir()))
def test_every_template_is_whole(template: str) -> None:
    mail = written(template, "manta@example.com", SOMEBODY, site=SITE, link=f"{SITE}/x")
    assert mail["subject"]
    assert SITE in mail.get_content()
    assert "$" not in mail["subject"] + mail.get_content()


async def test_starttls_and_a_password(server_tls: ssl.SSLContext, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    async with mailboxes(upgrade=server_tls, password=True) as boxes:
        sender = mailer(boxes.port, "starttls", username=USER, password_file=str(tmp_path / "password"))
        sender.send(SOMEBODY, "verify")
        await sender.flush()
        assert (boxes.secured, boxes.users) == ([True], [USER.encode()])
        (tmp_path / "password").write_text("another")
        sender.send(SOMEBODY, "verify")
        await sender.flush()
        assert len(boxes.mails) == 1


async def test_tls_from_the_first_byte(server_tls: ssl.SSLContext) -> None:
    async with mailboxes(implicit=server_tls) as boxes:
        sender = mailer(boxes.port, "tls")
        sender.send(SOMEBODY, "verify")
        await sender.flush()
        assert len(boxes.mails) == 1


async def test_nothing_is_sent_in_the_clear_or_to_a_stranger(
    boxes: Mailboxes, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for security in ("starttls", "tls"):  # the server has neither
        sender = mailer(boxes.port, security)
        sender.send(SOMEBODY, "verify")
        await sender.flush()
    monkeypatch.delenv("SSL_CERT_FILE")
    async with mailboxes(upgrade=server_tls) as strange:
        sender = mailer(strange.port, "starttls")
        sender.send(SOMEBODY, "verify")
        await sender.flush()
        assert strange.mails == []
    assert boxes.mails == []


async def test_what_the_server_puts_off_is_tried_again(boxes: Mailboxes) -> None:
    boxes.replies = ["451 greylisted", "450 still"]
    sender = mailer(boxes.port)
    sender.send(SOMEBODY, "verify")
    await sender.flush()
    assert (boxes.asked, len(boxes.mails)) == (3, 1)


async def test_what_the_server_refuses_is_not(boxes: Mailboxes, caplog: pytest.LogCaptureFixture) -> None:
    boxes.replies = [f"550 {SOMEBODY} is not here"]
    sender = mailer(boxes.port)
    with caplog.at_level(logging.INFO, module.__name__):
        sender.send(SOMEBODY, "verify")
        await sender.flush()
    assert (boxes.asked, boxes.mails) == (1, [])
    assert "is given up" in caplog.text
    assert "somebody" not in caplog.text


async def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    async with mailboxes() as boxes:
        port = boxes.port
    sender = mailer(port)
    with caplog.at_level(logging.INFO, module.__name__):
        sender.send(SOMEBODY, "verify")
        await sender.flush()
    assert caplog.text.count("could not be sent") == 3
    assert "somebody" not in caplog.text


async def test_a_server_that_says_nothing_is_left(boxes: Mailboxes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)
    boxes.gate.clear()
    sender = mailer(boxes.port)
    sender.send(SOMEBODY, "verify")
    await sender.flush()
    assert boxes.mails == []
    boxes.gate.set()


async def test_few_go_at_once_and_few_wait(
    boxes: Mailboxes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    boxes.gate.clear()
    sender = mailer(boxes.port)
    with caplog.at_level(logging.INFO, module.__name__):
        for number in range(12):
            sender.send(f"a{number}@example.com", "verify")
    assert caplog.text.count("is given up") == 2
    await until(lambda: boxes.open == module.AT_ONCE)
    boxes.gate.set()
    await sender.flush()
    assert (len(boxes.mails), boxes.most_open) == (10, module.AT_ONCE)


async def test_an_address_gets_few(boxes: Mailboxes, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = mailer(boxes.port)
    for _ in range(module.MAX_TO_ONE + 3):
        sender.send(SOMEBODY, "reset")
    sender.send("other@example.com", "reset")
    await sender.flush()
    assert len(boxes.mails) == module.MAX_TO_ONE + 1
    monkeypatch.setattr(module, "TO_ONE_S", 0.0)
    sender.send(SOMEBODY, "reset")
    await sender.flush()
    assert len(boxes.mails) == module.MAX_TO_ONE + 2
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    for number in range(9):
        sender._too_many(f"{number}@example.com")
    assert len(sender._sent) == 3


HOSTILE = [
    "a@example.com\r\nBcc: b@example.com",
    "a@example.com\nBcc: b@example.com",
    "a@example.com, b@example.com",
    "a@example.com> SIZE=1",
    "<b@example.com>, a@example.com",
    "\"b@example.com\" x@example.com",
    "a@example.com\r\nRCPT TO:<b@example.com>",
    "\ud800@example.com",
    "a\0@example.com",
    "",
    "@",
]  # fmt: skip


@pytest.mark.parametrize("address", HOSTILE)
async def test_an_address_adds_no_header_and_no_recipient(boxes: Mailboxes, address: str) -> None:
    sender = mailer(boxes.port)
    sender.send(address, "verify")
    await sender.flush()
    assert "b@example.com" not in [to for envelope in boxes.envelopes for to in envelope.rcpt_tos]
    assert [mail["bcc"] for mail in boxes.mails if mail["bcc"]] == []
    sender.send(SOMEBODY, "verify")
    await sender.flush()
    assert boxes.envelopes[-1].rcpt_tos == [SOMEBODY]


async def test_letters_beyond_ascii_go_where_the_server_takes_them(boxes: Mailboxes) -> None:
    address = "jürgen@example.com"
    sender = mailer(boxes.port)
    sender.send(address, "verify")
    await sender.flush()
    assert boxes.mails == []
    async with mailboxes(enable_SMTPUTF8=True) as modern:
        sender = mailer(modern.port)
        sender.send(address, "verify")
        await sender.flush()
        assert modern.envelopes[0].rcpt_tos == [address]


async def test_a_link_is_made_when_its_turn_has_come(boxes: Mailboxes, caplog: pytest.LogCaptureFixture) -> None:
    made = asyncio.Event()

    async def link() -> str:
        made.set()
        return "/welcome#x=1"

    async def none() -> str:
        raise ValueError

    sender = mailer(boxes.port)
    sender.send(SOMEBODY, "reset", path=link)
    assert not made.is_set()
    sender.send(SOMEBODY, "reset", path=none)
    await sender.flush()
    assert f"{SITE}/welcome#x=1" in boxes.text()
    assert len(boxes.mails) == 1
    assert "could not be written" in caplog.text


async def test_closing_gives_up(boxes: Mailboxes) -> None:
    boxes.gate.clear()
    sender = mailer(boxes.port)
    sender.send(SOMEBODY, "verify")
    await until(lambda: boxes.open == 1)
    sender.close()
    await until(lambda: not sender._sending)
    boxes.gate.set()
    assert boxes.mails == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "mail.example.com", "security": "none"},
        {"username": "manta"},
        {"password_file": "/etc/hostname"},
        {"sender": "nobody"},
        {"sender": "a@example.com\nBcc: b@example.com"},
        {"port": 0},
    ],
)
def test_settings_that_are_refused(wrong: dict[str, Any]) -> None:
    good = {"host": "localhost", "security": "none", "sender": "manta@example.com"}
    SmtpSpec.model_validate(good)
    with pytest.raises(ValueError, match=r"."):
        SmtpSpec.model_validate(good | wrong)
