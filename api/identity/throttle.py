"""Guesses at passwords and codes: counted per account and per address, answered later and later, never locked for good.

What strangers may begin is counted by address too: it costs a hash, or a row, before anybody is known.

An account that somebody else guesses at keeps its sessions and keys: only signing in anew waits, 15 minutes at most.
"""

import asyncio
import hashlib
import ipaddress
from dataclasses import dataclass
from enum import Enum
from weakref import WeakValueDictionary

from api.db import throttles
from api.db.session import Database
from configs.errors import Overloaded

WINDOW_S = 900.0
LONGEST_S = 900.0
IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Limit:
    """How many failures a window allows, and for how long the ones after them block at most."""

    name: str
    allowed: int
    window_s: float = WINDOW_S
    longest_s: float = LONGEST_S
    of_address: bool = False
    """It counts what comes from an address, not what is aimed at an account."""
    said: str = "Too many failed attempts; wait before the next."


class Guessing(Enum):
    """What is counted: guesses by their aim or by where they come from, and what strangers begin."""

    ACCOUNT = Limit("account", 10)
    ADDRESS = Limit("address", 100, of_address=True)
    CODE = Limit("code", 10, 30 * 86400.0, 3600.0, said="Too many wrong codes; wait before the next.")
    """Six digits are few, and who guesses at them knows the password: only a right one ends the count."""
    REGISTRATION = Limit("registration", 100, of_address=True, said="Too many accounts at once; wait before the next.")
    CEREMONY = Limit("ceremony", 300, of_address=True, said="Too many sign-ins begun; wait before the next.")
    """A sign-in with a passkey or a provider that was begun: a row until it is over."""


class Throttle:
    """Counts in the database, which all ingresses share."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def check(self, account: str, address: str) -> None:
        """Let a guess pass.

        Raises:
            Overloaded: there were too many; `retry_after_s` says when the next may come.
        """
        keys = [key_of(Guessing.ACCOUNT, account), key_of(Guessing.ADDRESS, address)]
        async with self._database.unit() as session:
            left_s = await throttles.blocked_s(session, keys)
        if left_s > 0:
            raise Overloaded(Guessing.ACCOUNT.value.said, retry_after_s=left_s)

    async def failed(self, account: str, address: str) -> None:
        """Count a wrong guess."""
        async with self._database.unit() as session:
            for guessing, value in ((Guessing.ACCOUNT, account), (Guessing.ADDRESS, address)):
                await throttles.failed(
                    session,
                    key_of(guessing, value),
                    allowed=guessing.value.allowed,
                    window_s=guessing.value.window_s,
                    longest_s=guessing.value.longest_s,
                )

    async def take_code(self, account: str, address: str) -> None:
        """Let a guess at a code pass, and count it as wrong until `code_succeeded`.

        Raises:
            Overloaded: there were too many.
        """
        await self.check(account, address)
        await self.take(Guessing.CODE, account)

    async def take(self, guessing: Guessing, value: str) -> None:
        """Let one of these pass, and count it before it happens: of many at once, no more get through.

        Raises:
            Overloaded: there were too many.
        """
        key, limit = key_of(guessing, value), guessing.value
        waiting = self._waiting.setdefault(key, asyncio.Lock())
        async with waiting, self._database.unit() as session:  # so a flood of one address holds one connection
            taken = await throttles.take(
                session, key, allowed=limit.allowed, window_s=limit.window_s, longest_s=limit.longest_s
            )
            left_s = 0.0 if taken else await throttles.blocked_s(session, [key])
        if not taken:
            raise Overloaded(limit.said, retry_after_s=max(left_s, 1.0))

    async def code_succeeded(self, account: str) -> None:
        """A code was right, after a password or in a session: forget all failures of the account."""
        await self.succeeded(account)
        async with self._database.unit() as session:
            await throttles.forget(session, key_of(Guessing.CODE, account))

    async def succeeded(self, account: str) -> None:
        """Forget the account's failures; the address keeps its own, for it may be guessing at others."""
        async with self._database.unit() as session:
            await throttles.forget(session, key_of(Guessing.ACCOUNT, account))


def key_of(guessing: Guessing, value: str) -> bytes:
    """A digest, so that the table names nobody. IPv6 counts by its /64, which one subscriber has whole."""
    if guessing.value.of_address:
        value = network_of(value)
    return hashlib.sha256(f"{guessing.value.name}\0{value}".encode()).digest()


def network_of(address: str) -> str:
    """The address, or the /64 of an IPv6 one; what is none stays as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    if parsed.version == 6:  # noqa: PLR2004
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)
