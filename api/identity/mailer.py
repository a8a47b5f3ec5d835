"""Mails to people, through the operator's SMTP server. A request never waits for it, and never learns how it went.

So an address that is unknown answers as fast as one that is known. What cannot be sent is tried again a few times, then
given up with a line in the log that names no address.
"""

import asyncio
import logging
from email.message import EmailMessage
from pathlib import Path
from string import Template

import aiosmtplib

from configs.identity_specs import SmtpSpec

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "mails"
MAX_WAITING = 100
TIMEOUT_S = 20.0
PAUSES_S = (0.0, 5.0, 30.0, 120.0)


class Mailer:
    """One server, one sender; `link` begins with the installation's public address."""

    def __init__(self, smtp: SmtpSpec, site: str) -> None:
        self._smtp = smtp
        self._site = site.rstrip("/")
        self._sending: set[asyncio.Task[None]] = set()

    def send(self, address: str, template: str, *, path: str = "") -> None:
        """Send `mails/<template>.txt`; `path` is where its link leads, below the public address."""
        if len(self._sending) >= MAX_WAITING:
            log.warning("a mail %r is given up: %d wait already", template, MAX_WAITING)
            return
        message = written(template, self._smtp.sender, address, site=self._site, link=self._site + path)
        task = asyncio.get_running_loop().create_task(self._deliver(message, template))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def flush(self) -> None:
        """Wait for what is being sent."""
        await asyncio.gather(*self._sending)

    async def _deliver(self, message: EmailMessage, template: str) -> None:
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                await aiosmtplib.send(
                    message,
                    hostname=self._smtp.host,
                    port=self._smtp.port,
                    username=self._smtp.username,
                    password=self._password(),
                    use_tls=self._smtp.security == "tls",
                    start_tls=self._smtp.security == "starttls",
                    timeout=TIMEOUT_S,
                )
            except aiosmtplib.SMTPRecipientsRefused:
                log.info("a mail %r was refused for its recipient", template)
                return
            except (aiosmtplib.SMTPException, OSError) as error:
                log.warning("a mail %r could not be sent (%s)", template, type(error).__name__)
            else:
                return
        log.error("a mail %r is given up", template)

    def _password(self) -> str | None:
        path = self._smtp.password_file
        return path.read_text("utf-8").strip() if path is not None else None


def written(template: str, sender: str, address: str, *, site: str, link: str) -> EmailMessage:
    """The mail: the template's first line is its subject."""
    text = Template((FOLDER / f"{template}.txt").read_text("utf-8")).substitute(site=site, link=link)
    subject, _, body = text.partition("\n")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, address, subject.strip()
    message.set_content(body.lstrip())
    return message
