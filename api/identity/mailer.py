"""Mails to people, through the operator's SMTP server. A request never waits for it, and never learns how it went.

So an address that is unknown answers as fast as one that is known. What cannot be sent now is tried again a few times,
then given up with a line in the log that names no address. What still waits when this process ends is lost: whoever
misses a link asks for another.
"""

import asyncio
import hashlib
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from string import Template

import aiosmtplib

from configs.errors import MantaError
from configs.identity_specs import SmtpSpec

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent / "mails"
MAX_WAITING = 100
AT_ONCE = 4
TIMEOUT_S = 20.0
PAUSES_S = (0.0, 5.0, 30.0, 120.0)
MAX_TO_ONE = 5
TO_ONE_S = 900.0
MAX_REMEMBERED = 10_000
PERMANENT = 500
"""Replies of SMTP from here on say that another try is useless (RFC 5321, 4.2.1)."""
PLAIN = re.compile(r"[^@\s<>\"(),;:\\\x00-\x1f\x7f]+@[^@\s<>\"(),;\\\x00-\x1f\x7f]+")

Link = str | Callable[[], Awaitable[str]]


class Mailer:
    """One server, one sender; `site` is the installation's public address, with which links begin."""

    def __init__(self, smtp: SmtpSpec, site: str) -> None:
        self._smtp = smtp
        self._site = site.rstrip("/")
        self._sending: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._sent: OrderedDict[bytes, list[float]] = OrderedDict()

    def send(self, address: str, template: str, *, path: Link = "") -> None:
        """Send `mails/<template>.txt`; `path` is where its link leads, or makes that when its turn has come."""
        if len(self._sending) >= MAX_WAITING:
            log.warning("a mail %r is given up: %d wait already", template, MAX_WAITING)
        elif self._too_many(address):
            log.warning("a mail %r is held back: its address got %d within %g s", template, MAX_TO_ONE, TO_ONE_S)
        else:
            task = asyncio.get_running_loop().create_task(self._send(address, template, path))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def flush(self) -> None:
        """Wait for what is being sent."""
        await asyncio.gather(*self._sending)

    def close(self) -> None:
        """Give up what is being sent."""
        for task in self._sending:
            task.cancel()

    async def _send(self, address: str, template: str, path: Link) -> None:
        try:
            link = self._site + (path if isinstance(path, str) else await path())
            message = written(template, self._smtp.sender, address, site=self._site, link=link)
        except (MantaError, MessageError, ValueError) as error:
            log.warning("a mail %r could not be written (%s)", template, type(error).__name__)
            return
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                async with self._turns:
                    await self._deliver(message, address)
            except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                log.warning("a mail %r could not be sent (%s)", template, reason(error))
                if is_permanent(error):
                    break
            else:
                return
        log.error("a mail %r is given up", template)

    async def _deliver(self, message: EmailMessage, address: str) -> None:
        path, smtp = self._smtp.password_file, self._smtp
        await aiosmtplib.send(
            message,
            sender=smtp.sender,
            recipients=[address],
            hostname=smtp.host,
            port=smtp.port,
            username=smtp.username,
            password=await asyncio.to_thread(path.read_text, "utf-8") if path is not None else None,
            use_tls=smtp.security == "tls",
            start_tls=smtp.security == "starttls",
            timeout=TIMEOUT_S,
        )

    def _too_many(self, address: str) -> bool:
        """Count one more mail to this address, unless it got its share: nobody's mailbox is flooded through us."""
        key, now = hashlib.sha256(address.encode("utf-8", "surrogatepass")).digest(), time.monotonic()
        recent = [at for at in self._sent.pop(key, ()) if now - at < TO_ONE_S]
        full = len(recent) >= MAX_TO_ONE
        self._sent[key] = recent if full else [*recent, now]
        if len(self._sent) > MAX_REMEMBERED:
            self._sent.popitem(last=False)
        return full


def written(template: str, sender: str, address: str, *, site: str, link: str) -> EmailMessage:
    """The mail: the template's first line is its subject.

    Raises:
        ValueError, MessageError: no header can hold the address.
    """
    text = Template((FOLDER / f"{template}.txt").read_text("utf-8")).substitute(site=site, link=link)
    subject, _, body = text.partition("\n")
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = mailbox(sender), mailbox(address), subject.strip()
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=mailbox(sender).domain)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers from holiday notices
    message.set_content(body.lstrip())
    return message


def mailbox(address: str) -> Address:
    """The one mailbox that an address names.

    Raises:
        ValueError: it has characters by which it could be two of them, another header, or another command.
    """
    if not PLAIN.fullmatch(address):
        raise ValueError
    name, _, domain = address.partition("@")
    return Address(username=name, domain=domain)


def is_permanent(error: Exception) -> bool:
    """Whether the server, or the library before it, would say the same again."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(each.code >= PERMANENT for each in error.recipients)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code >= PERMANENT
    return isinstance(error, aiosmtplib.SMTPNotSupported | ValueError)


def reason(error: Exception) -> str:
    """What went wrong, without the server's words: they may name an address."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if isinstance(code, int) else type(error).__name__
