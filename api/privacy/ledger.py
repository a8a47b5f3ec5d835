"""The ledger of erasures outside the database: after a restore from an older backup it says who must not come back.

One JSON line per erasure with ids alone. A line is on the disk before the erasure counts as done.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

NAME = "erasures.jsonl"


def append(folder: Path, entry: dict[str, Any]) -> None:
    """Add an entry; it is on the disk when this returns."""
    descriptor = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def entries(folder: Path) -> Iterator[dict[str, Any]]:
    """All entries of a data directory, or of a copy of its ledger.

    A last line that a crash tore is left out, for its erasure was not done.
    """
    path = folder / NAME if folder.is_dir() else folder
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield orjson.loads(line)
