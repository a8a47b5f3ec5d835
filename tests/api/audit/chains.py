"""Chains for tests, and what somebody who owns the database could do to one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from api.audit import chain
from api.audit.chain import Entry, Head

BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)
ORGANIZATION = "org_chain"


def made(texts: Sequence[str], organization_id: str = ORGANIZATION) -> list[Entry]:
    """A chain with one entry per text."""
    entries: list[Entry] = []
    for number, text in enumerate(texts, 1):
        entry = Entry(
            organization_id, number, BEGIN + timedelta(microseconds=number), f"user_{text}", "key.create", text, "ok",
            "", "", "{}", b"", b"",
        )  # fmt: skip
        entries.append(entry)
    return chained(entries)


def chained(entries: Sequence[Entry], previous: bytes | None = None) -> list[Entry]:
    """The same entries, hashed one after the other, after `previous` or as a chain of their own."""
    done: list[Entry] = []
    for entry in entries:
        before = done[-1].hash if done else previous or chain.beginning(entry.organization_id)
        done.append(replace(entry, previous_hash=before, hash=chain.digest(entry, before)))
    return done


def head_of(entries: Sequence[Entry]) -> Head:
    return Head(entries[-1].organization_id, entries[-1].seq, entries[-1].hash)


def rehashed(entry: Entry) -> Entry:
    """With a hash that fits its content again."""
    return replace(entry, hash=chain.digest(entry, entry.previous_hash))
