"""Hashes passwords in a process of its own, at a low priority (`api.identity.hash_worker`)."""

import asyncio
import logging
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from configs.errors import Overloaded, Unavailable
from configs.respondent import Respondent

log = logging.getLogger(__name__)

MAX_WAITING = 32
MAX_OF_ONE = 16
"""Places of those that one address may hold, so that it alone keeps nobody else from signing in."""
DEADLINE_S = 20.0
TRIES = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password fits; `new_hash` replaces a stored one that is weaker than today's."""

    ok: bool
    new_hash: str | None


class Hasher:
    """One process for this one. Networks take turns, and within one its questions do."""

    def __init__(self) -> None:
        self.process = Respondent("passwords", "api.identity.hash_worker")
        self._waiting: Counter[str] = Counter()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def hash(self, password: str, source: str = "") -> str:
        """The Argon2id hash of a password, for a request from the network `source` (empty: for nobody's).

        Raises:
            Overloaded: 32 wait already, or 16 from there.
            Unavailable: there is no answer within 20 s, those before it in the queue included.
        """
        (made,) = await self._ask(["hash", prepared(password)], source)
        return str(made)

    async def verify(self, password: str, stored: str | None, source: str = "") -> Verdict:
        """Whether it is the password of `stored` (Argon2id or bcrypt); without one the work is the same.

        Errors as `hash`.
        """
        ok, new_hash = await self._ask(["verify", prepared(password), stored], source)
        return Verdict(bool(ok), new_hash)

    def close(self) -> None:
        """End the process."""
        self.process.close()

    async def _ask(self, question: list[Any], source: str) -> list[Any]:
        if self._waiting.total() >= MAX_WAITING or (source and self._waiting[source] >= MAX_OF_ONE):
            raise Overloaded("Too many sign-ins at once; try again in a few seconds.", retry_after_s=5.0)
        self._waiting[source] += 1
        try:
            turn = self._turns.setdefault(source, asyncio.Lock())
            async with asyncio.timeout(DEADLINE_S), turn:
                return await self._answered(question)
        except TimeoutError:
            log.warning("passwords are not checked within %g s", DEADLINE_S)
        finally:
            self._waiting[source] -= 1
            if not self._waiting[source]:
                del self._waiting[source]
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
