"""The hash chain of an organization's audit log, computed here as the database's `append_audit` computes it.

Each entry's hash covers its fields and the hash of the entry before, so nothing can change without a trace. A walk over
a chain tells every trace and the entry it belongs to. It knows neither the database nor where anchors are kept.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SEED = "manta audit"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log."""

    organization_id: str
    seq: int
    created_at: datetime
    actor: str
    action: str
    target: str
    outcome: str
    address: str
    request_id: str
    details: str
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends."""

    organization_id: str
    seq: int
    hash: bytes


class Trace(StrEnum):
    """What somebody did to a chain, as far as it can be seen."""

    EDITED = "its content does not fit its hash: it was changed"
    RELINKED = "its link to the entry before was changed"
    REPLACED = "it was replaced: its neighbours continue another entry"
    MISSING = "it is missing"
    MISPLACED = "it stands twice, out of order or in another organization's chain"
    BEYOND = "it stands beyond the end of the chain: nobody appended it"
    HEAD = "the stored end of the chain does not fit its entries"
    REWRITTEN = "it is not what was anchored outside the database"
    UNSIGNED = "the anchor has no good signature"


@dataclass(frozen=True, slots=True)
class Fault:
    """A trace, and the entries from `seq` to `last` that it belongs to."""

    organization_id: str
    seq: int
    last: int
    trace: Trace
    place: str = ""
    """Where it was found, if not in the database."""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "trace": self.trace.name.lower(), "message": self.trace.value}


def field(text: str) -> bytes:
    """A field of what is hashed: its length in bytes, a colon, its bytes. So no two entries are hashed alike."""
    data = text.encode()
    return b"%d:%b" % (len(data), data)


def beginning(organization_id: str) -> bytes:
    """What the first entry is chained to."""
    return hashlib.sha256(field(SEED) + field(organization_id)).digest()


def digest(entry: Entry, previous_hash: bytes) -> bytes:
    """SHA-256 over an entry that follows `previous_hash`."""
    texts = (
        entry.organization_id,
        str(entry.seq),
        str((entry.created_at - EPOCH) // timedelta(microseconds=1)),
        entry.actor,
        entry.action,
        entry.target,
        entry.outcome,
        entry.address,
        entry.request_id,
        entry.details,
    )
    return hashlib.sha256(previous_hash + b"".join(map(field, texts))).digest()


def verify(entries: Iterable[Entry], head: Head | None, anchors: Mapping[int, bytes] | None = None) -> list[Fault]:
    """Every trace in one chain: `entries` as they are stored, its `head`, and hashes that were anchored, by number."""
    entries = list(entries)
    known = head.organization_id if head is not None else entries[0].organization_id if entries else ""
    walk = Walk(known, head, anchors)
    for entry in entries:
        walk.step(entry)
    return walk.end()


class Walk:
    """One chain, entry by entry in stored order; it holds one entry's hash, not the chain."""

    def __init__(self, organization_id: str, head: Head | None, anchors: Mapping[int, bytes] | None = None) -> None:
        self._organization_id = organization_id
        self._head = head
        self._anchors = dict(anchors or {})
        self._end = max([*self._anchors, head.seq if head is not None else 0, 0])
        self._seq, self._hash = 0, beginning(organization_id)
        self._faults: list[Fault] = []
        self._suspect: int | None = None
        """An entry that is whole but does not continue the one before: the next one tells which of the two is false."""
        self._anchored, self._rewritten = 0, False

    def step(self, entry: Entry) -> None:
        """The next stored entry."""
        if entry.seq <= self._seq or entry.organization_id != self._organization_id:
            self._found(entry.seq, Trace.MISPLACED)
            return
        if self._head is not None and entry.seq > self._end:
            self._found(entry.seq, Trace.BEYOND)
            return
        if entry.seq > self._seq + 1:
            self._resolve(whole=True)
            self._found(self._seq + 1, Trace.MISSING, entry.seq - 1)
            if digest(entry, entry.previous_hash) != entry.hash:
                self._found(entry.seq, Trace.EDITED)
        else:
            self._check_link(entry)
        self._compare(entry)
        self._seq, self._hash = entry.seq, entry.hash

    def end(self) -> list[Fault]:
        """The stored entries are over: every trace, by number."""
        head = self._head
        self._resolve(whole=head is None or head.hash == self._hash)
        if self._seq < self._end:
            self._found(self._seq + 1, Trace.MISSING, self._end)
        if head is None:
            if self._seq:
                self._found(self._seq, Trace.HEAD)
        elif head.seq < self._seq or (
            head.seq == self._seq and head.hash != self._hash and not self._is_found(head.seq)
        ):
            self._found(head.seq, Trace.HEAD)
        return sorted(self._faults, key=lambda fault: (fault.seq, fault.last))

    def _check_link(self, entry: Entry) -> None:
        if digest(entry, self._hash) == entry.hash:
            self._resolve(whole=True)
            if entry.previous_hash != self._hash:
                self._found(entry.seq, Trace.RELINKED)
        elif digest(entry, entry.previous_hash) != entry.hash:
            self._resolve(whole=entry.previous_hash == self._hash)
            self._found(entry.seq, Trace.EDITED)
        elif self._suspect is not None:
            self._resolve(whole=False)
        elif self._seq == 0:
            self._found(entry.seq, Trace.REPLACED)
        elif not self._is_found(self._seq):
            self._suspect = entry.seq

    def _resolve(self, *, whole: bool) -> None:
        """The suspect is `whole`, so that the entry before it is false; or it is false itself."""
        if self._suspect is not None:
            self._found(self._suspect - 1 if whole else self._suspect, Trace.REPLACED)
            self._suspect = None

    def _compare(self, entry: Entry) -> None:
        anchored = self._anchors.get(entry.seq)
        if anchored is None or self._rewritten:
            return
        if anchored == entry.hash:
            self._anchored = entry.seq
        elif not self._is_found(entry.seq):
            self._rewritten = True
            self._found(self._anchored + 1, Trace.REWRITTEN, entry.seq)

    def _is_found(self, seq: int) -> bool:
        return any(fault.seq <= seq <= fault.last for fault in self._faults[-3:])

    def _found(self, seq: int, trace: Trace, last: int | None = None) -> None:
        before = self._faults[-1] if self._faults else None
        last = seq if last is None else last
        if before is not None and before.trace is trace and before.last + 1 == seq:
            self._faults[-1] = replace(before, last=last)
        else:
            self._faults.append(Fault(self._organization_id, seq, last, trace))
