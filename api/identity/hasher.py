"""Hashes passwords in a process of its own, at a low priority (`api.identity.hash_worker`)."""

import asyncio
import logging
import unicodedata
from dataclasses import dataclass
from typing import Any

from configs.errors import Overloaded, Unavailable
from configs.respondent import Respondent

log = logging.getLogger(__name__)

MAX_WAITING = 32
DEADLINE_S = 20.0
TRIES = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password fits; `new_hash` replaces a stored one that is weaker than today's."""

    ok: bool
    new_hash: str | None


class Hasher:
    """One process for this one; its questions wait in turn."""

    def __init__(self) -> None:
        self.process = Respondent("passwords", "api.identity.hash_worker")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The Argon2id hash of a password.

        Raises:
            Overloaded: 32 wait already.
            Unavailable: there is no answer within 20 s, those before it in the queue included.
        """
        (made,) = await self._ask(["hash", prepared(password)])
        return str(made)

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Whether it is the password of `stored` (Argon2id or bcrypt); without one the work is the same.

        Errors as `hash`.
        """
        ok, new_hash = await self._ask(["verify", prepared(password), stored])
        return Verdict(bool(ok), new_hash)

    def close(self) -> None:
        """End the process."""
        self.process.close()

    async def _ask(self, question: list[Any]) -> list[Any]:
        if self._waiting >= MAX_WAITING:
            raise Overloaded("Too many sign-ins at once; try again in a few seconds.", retry_after_s=5.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self._answered(question)
        except TimeoutError:
            log.warning("passwords are not checked within %g s", DEADLINE_S)
        finally:
            self._waiting -= 1
        raise Unavailable("Passwords cannot be checked at the moment.", retry_after_s=5.0)

    async def _answered(self, question: list[Any]) -> list[Any]:
        for _ in range(TRIES):
            try:
                answer: list[Any] = await self.process.ask(question)
            except TimeoutError:
                raise
            except (OSError, EOFError) as error:
                log.warning("the process that hashes passwords ended (%s)", type(error).__name__)
            else:
                return answer
        raise Unavailable("Passwords cannot be checked at the moment.", retry_after_s=2.0)


def prepared(password: str) -> str:
    """The same text from every keyboard: Unicode's NFC, as RFC 8265 (OpaqueString) has it, and its spaces as one."""
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFC", spaced)
