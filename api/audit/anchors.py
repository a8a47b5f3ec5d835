"""Anchors: the ends of the chains, signed and kept outside the database.

Who owns the database can write a whole chain anew, or cut its end, and it fits itself. It does not fit what was noted
elsewhere before. Each line is JSON and signed with a key that is no part of the database, so that nobody without that
file can write one. It does not know who writes or compares (`api.audit.anchoring`, `api.audit.checking`).
"""

import fcntl
import hashlib
import hmac
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from api.audit import chain
from api.audit.chain import Fault, Head, Trace

FILE = "audit-anchor.jsonl"
KEY = "audit_anchor"
"""The name of the key among the data directory's secrets."""
SYSLOG = "/dev/log"
NOTICE_OF_AUTHPRIV = 10 * 8 + 5
Kind = Literal["head", "restored"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """A chain's end at a moment. `restored`: the database was put back to it, and later anchors before this one end."""

    organization_id: str
    seq: int
    hash: bytes
    at: str
    kind: Kind = "head"

    def signature(self, key: str) -> str:
        """HMAC-SHA256 over all fields."""
        texts = ("manta anchor", self.organization_id, str(self.seq), self.hash.hex(), self.at, self.kind)
        return hmac.digest(key.encode(), b"".join(map(chain.field, texts)), hashlib.sha256).hex()

    def line(self, key: str) -> bytes:
        """As it is written."""
        told = {
            "organization_id": self.organization_id,
            "seq": self.seq,
            "hash": self.hash.hex(),
            "at": self.at,
            "kind": self.kind,
            "signature": self.signature(key),
        }
        return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


@dataclass
class Anchored:
    """What good anchors say of each chain."""

    hashes: dict[str, dict[int, bytes]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    """Lines that nobody with the key wrote."""
    restored: list[Anchor] = field(default_factory=list)

    def add(self, anchor: Anchor) -> None:
        """The next good anchor."""
        known = self.hashes.setdefault(anchor.organization_id, {})
        if anchor.kind == "restored":
            self.restored.append(anchor)
            for seq in [seq for seq in known if seq > anchor.seq]:
                del known[seq]
        known[anchor.seq] = anchor.hash


def anchors_of(heads: Iterable[Head], kind: Kind = "head") -> list[Anchor]:
    """Anchors of these ends, now."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return [Anchor(head.organization_id, head.seq, head.hash, at, kind) for head in heads]


def append(path: Path, anchors: Iterable[Anchor], key: str) -> None:
    """Add lines; they are on the disk when this returns.

    Raises:
        OSError: the file cannot be written.
    """
    lines = b"".join(anchor.line(key) for anchor in anchors)
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        file.write(b"\n" + lines if torn else lines)
        os.fsync(fd)


def tell_syslog(anchors: Iterable[Anchor], key: str, address: str = SYSLOG) -> None:
    """Send the same lines to the system's log, which may forward them to another machine.

    Raises:
        OSError: nobody takes them.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.connect(address)
        for anchor in anchors:
            log.send(b"<%d>manta-audit: %b" % (NOTICE_OF_AUTHPRIV, anchor.line(key).rstrip()))


def read(paths: Iterable[Path], key: str | None) -> Anchored:
    """What the files say, oldest line first. Lines may begin with what a log puts before them.

    Raises:
        OSError: a file cannot be read.
    """
    found = Anchored()
    for path in paths:
        for number, line in _lines(path):
            anchor = _parsed(line, key)
            if anchor is not None:
                found.add(anchor)
            elif line.endswith(b"\n"):  # else a crash tore it while it was written
                found.faults.append(Fault("", 0, 0, Trace.UNSIGNED, f"line {number} of {path.name}"))
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line


def _parsed(line: bytes, key: str | None) -> Anchor | None:
    with suppress(ValueError, KeyError, TypeError):  # such a line is no anchor
        told: dict[str, Any] = orjson.loads(line[line.index(b"{") :])
        anchor = Anchor(told["organization_id"], told["seq"], bytes.fromhex(told["hash"]), told["at"], told["kind"])
        if key is not None and hmac.compare_digest(anchor.signature(key), told["signature"]):
            return anchor
    return None
