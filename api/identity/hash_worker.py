"""Hash passwords, one after another, at a low priority: `python -m api.identity.hash_worker FD`.

A hash takes 64 MiB and a seventh of a second of a core by design; here that disturbs no answer that streams. Questions
on the socket FD are ["hash", password] or ["verify", password, stored]; answers are [hash] or [ok, new hash or null].
"""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from configs.frames import Line

NICENESS = 10
"""A tenth of a core beside one busy program; at 19 it is a seventieth, and where it is always busy nobody gets in."""
NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$" + "A" * 22 + "$" + "A" * 43
"""Stands for the hash of an account that is not there, and costs what today's hashes cost."""
BCRYPT_BYTES = 72
MEMORY_BYTES = 2**30


def main() -> None:
    """Answer until the other side closes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    give_way()
    passwords = Passwords()
    line = Line(int(sys.argv[1]))
    for question in line.received():
        line.send(answer(passwords, *question))


def give_way() -> None:
    """Let others go first.

    Where the kernel groups processes by session (sched(7), "autogroup"), a nice value counts within one session only,
    and this process has one of its own: there the group itself has to be nice.
    """
    os.nice(NICENESS)
    with suppress(OSError):  # a kernel without such groups, or one that was asked a moment ago
        Path("/proc/self/autogroup").write_text(str(NICENESS))


class Passwords:
    """Argon2id for what is new (pwdlib's parameters, those of RFC 9106's second choice); bcrypt is read as well."""

    def __init__(self) -> None:
        self._argon2 = Argon2Hasher()
        self._all = PasswordHash((self._argon2, BcryptHasher()))

    def hash(self, password: str) -> str:
        """An Argon2id hash."""
        return self._argon2.hash(password)

    def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether it fits, and a new hash where the stored one is weaker. Nobody's password costs as much as any."""
        known = stored if stored is not None else NOBODYS
        bcrypt = BcryptHasher.identify(known)
        try:
            # bcrypt never read more than 72 bytes, and its library now refuses more
            ok = self._all.verify(password.encode()[:BCRYPT_BYTES] if bcrypt else password, known)
        except (UnknownHashError, ValueError):
            ok = False
        if not ok or stored is None:
            return False, None
        return True, self.hash(password) if bcrypt or self._argon2.check_needs_rehash(stored) else None


def answer(passwords: Passwords, kind: str, password: str, stored: str | None = None) -> list[Any]:
    """What one question gets."""
    return [passwords.hash(password)] if kind == "hash" else list(passwords.verify(password, stored))


if __name__ == "__main__":
    main()
