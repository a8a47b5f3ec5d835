"""The ledger of erasures outside the database: after a restore from an older backup it says who must not come back.

One JSON line per erasure with ids alone. A line is on the disk before the erasure counts as done.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from configs import files

log = logging.getLogger(__name__)

NAME = "erasures.jsonl"
Entry = dict[str, Any]
KEPT = ("id", "organization_id", "subject_kind", "subject_id", "data_key_ids")
"""What an entry says at least; `requested_at` may stand beside it."""


def append(folder: Path, entry: Entry) -> None:
    """Add an entry; it is on the disk when this returns."""
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (b"\n" if torn else b"") + orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def entries(folder: Path) -> Iterator[Entry]:
    """All entries of a data directory, or of a copy of its ledger."""
    path = folder / NAME if folder.is_dir() else folder
    if path.exists():
        yield from parsed(path.read_bytes())


def parsed(content: bytes) -> Iterator[Entry]:
    """The entries of a ledger. A line that a crash tore is left out: its erasure was not done, and is noted again."""
    for line in content.split(b"\n"):
        if not line:
            continue
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            log.warning("a line of the ledger of erasures was torn by a crash; it is left out")


def text(wanted: Iterable[Entry]) -> bytes:
    """Entries as a ledger keeps them."""
    return b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in wanted)


def merged(*ledgers: Iterable[Entry]) -> list[Entry]:
    """Every erasure once, in the order in which they are met."""
    found: dict[str, Entry] = {}
    for ledger in ledgers:
        for entry in ledger:
            found.setdefault(entry["id"], entry)
    return list(found.values())


def write(folder: Path, wanted: Iterable[Entry]) -> None:
    """Begin the ledger of a data directory that has none.

    Raises:
        ConfigurationError: the disk is full.
    """
    with files.disk_faults(folder / NAME):
        files.write_whole(folder / NAME, text(wanted).decode())
