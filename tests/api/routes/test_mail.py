"""Links by mail: from the request through a real SMTP server and back."""

import re
from collections.abc import AsyncIterator

import pytest

from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import PASSWORD, Application, application
from tests.fixtures.database import query
from tests.fixtures.mailboxes import Mailboxes, mailboxes

TOKEN = re.compile(r"/welcome#(\w+)=(\S+)")


@pytest.fixture(scope="module")
async def boxes() -> AsyncIterator[Mailboxes]:
    async with mailboxes() as made:
        yield made


@pytest.fixture(scope="module")
async def mailing(postgres: EmbeddedPostgres, boxes: Mailboxes) -> AsyncIterator[Application]:
    smtp = {"host": "127.0.0.1", "port": boxes.port, "security": "none", "sender": "manta@example.com"}
    async with application(postgres, identity={"smtp": smtp}) as made:
        yield made


async def last_link(app: Application, boxes: Mailboxes) -> tuple[str, str]:
    assert app.services.mailer is not None
    await app.services.mailer.flush()
    found = TOKEN.search(boxes.text())
    assert found is not None
    return found[1], found[2]


async def test_an_address_is_confirmed_once(mailing: Application, boxes: Mailboxes, fresh: str) -> None:
    person = await mailing.register(f"mail-{fresh}")
    purpose, token = await last_link(mailing, boxes)
    assert (boxes.mails[-1]["to"], purpose) == (person.email, "verify_email")
    answers = [await person.http.post("/api/auth/verify-email", json={"token": token}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]
    acts = query(mailing.postgres, "SELECT action FROM audit_log WHERE target = %s AND action = 'user.verify'",
                 person.id)  # fmt: skip
    assert acts == [("user.verify",)]


async def test_a_new_password_by_mail(mailing: Application, boxes: Mailboxes, fresh: str) -> None:
    person = await mailing.register(f"mail-{fresh}")
    asked = await person.http.post("/api/auth/password-reset", json={"email": person.email.upper()})
    assert asked.status_code == 202
    purpose, token = await last_link(mailing, boxes)
    assert purpose == "reset_password"
    new = {"token": token, "password": "another long password"}
    answers = [await person.http.post("/api/auth/password-reset/confirm", json=new) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]
    over = await person.http.get("/api/auth/me", headers=person.headers)
    assert over.status_code == 401
    for password, status in ((PASSWORD, 401), ("another long password", 200)):
        entered = await person.http.post("/api/auth/login", json={"email": person.email, "password": password})
        assert entered.status_code == status


async def test_an_unknown_address_gets_the_same_answer_and_no_mail(
    mailing: Application, boxes: Mailboxes, fresh: str
) -> None:
    person = await mailing.register(f"mail-{fresh}")
    await last_link(mailing, boxes)
    before = len(boxes.mails)
    known = await person.http.post("/api/auth/password-reset", json={"email": person.email})
    await last_link(mailing, boxes)
    assert len(boxes.mails) == before + 1
    unknown = await person.http.post("/api/auth/password-reset", json={"email": f"no-{fresh}@example.com"})
    await last_link(mailing, boxes)
    assert len(boxes.mails) == before + 1
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
