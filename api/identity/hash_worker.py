"""Hash passwords, one after another, at the lowest priority: `python -m api.identity.hash_worker FD`.

A hash takes 64 MiB and a seventh of a second of a core by design; here that disturbs no answer that streams. Frames on
the socket FD are a length (4 bytes) and JSON: ["hash", password] or ["verify", password, stored]; answers are
[hash] or [ok, new hash or null].
"""

import os
import resource
import socket
import sys
from typing import Any

import orjson
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

LOWEST = 19
BCRYPT_BYTES = 72
BCRYPT = ("$2a$", "$2b$", "$2y$")


def main() -> None:
    """Answer until the other side closes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(LOWEST)
    hashes = PasswordHash((Argon2Hasher(), BcryptHasher()))
    dummy = hashes.hash(os.urandom(16).hex())
    line = socket.socket(fileno=int(sys.argv[1]))
    with line.makefile("rwb") as stream:
        while len(head := stream.read(4)) == 4:  # noqa: PLR2004
            question = orjson.loads(stream.read(int.from_bytes(head, "big")))
            body = orjson.dumps(answer(hashes, dummy, question))
            stream.write(len(body).to_bytes(4, "big") + body)
            stream.flush()


def answer(hashes: PasswordHash, dummy: str, question: list[Any]) -> list[Any]:
    """What one question gets. An account that is not there costs as much as one that is."""
    kind, password, *stored = question
    if kind == "hash":
        return [hashes.hash(password)]
    known = stored[0]
    try:
        ok, better = hashes.verify_and_update(fitting(password, known or dummy), known or dummy)
    except (UnknownHashError, ValueError):
        return [False, None]
    if not ok or known is None:
        return [False, None]
    return [True, hashes.hash(password) if better is not None else None]


def fitting(password: str, stored: str) -> str:
    """bcrypt never read more than 72 bytes, and its library now refuses more."""
    if not stored.startswith(BCRYPT):
        return password
    return password.encode()[:BCRYPT_BYTES].decode("utf-8", "ignore")


if __name__ == "__main__":
    main()
