"""An index as a file that is whole or refused: a line of JSON, then the index's own bytes.

The line names the format, the shape, the change it stands at, and the SHA-256 of the bytes.
"""

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import orjson

from configs.errors import MantaError
from configs.files import sync_folder
from retrieval.index.protocol import Metric, Shape

FORMAT = 1
PREFIX = "snapshot-"


class SnapshotBroken(MantaError):
    """A snapshot is cut, changed or of another format; an older one and the change log have to do."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An index at change `seq`."""

    shape: Shape
    seq: int
    content: bytes


def path_of(folder: Path, seq: int) -> Path:
    """Where the snapshot of change `seq` lies."""
    return folder / f"{PREFIX}{seq:020d}"


def all_in(folder: Path) -> list[Path]:
    """The snapshots of a folder, newest first."""
    return sorted(folder.glob(f"{PREFIX}*"), reverse=True)


def write(folder: Path, snapshot: Snapshot) -> Path:
    """Write it so that a crash leaves a whole one or none.

    Raises:
        OSError: the disk is full or read-only.
    """
    head = {
        "format": FORMAT,
        "dimensions": snapshot.shape.dimensions,
        "metric": snapshot.shape.metric.value,
        "seq": snapshot.seq,
        "sha256": hashlib.sha256(snapshot.content).hexdigest(),
    }
    path = path_of(folder, snapshot.seq)
    draft = folder / f".{path.name}.{secrets.token_hex(4)}"
    try:
        with draft.open("xb") as file:
            file.write(orjson.dumps(head) + b"\n")
            file.write(snapshot.content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(folder)
    return path


def read(path: Path) -> Snapshot:
    """Read it back.

    Raises:
        SnapshotBroken: it is not what was written.
    """
    head_line, _, content = path.read_bytes().partition(b"\n")
    try:
        head = orjson.loads(head_line)
        snapshot = Snapshot(Shape(head["dimensions"], Metric(head["metric"])), head["seq"], content)
        whole = head["format"] == FORMAT and head["sha256"] == hashlib.sha256(content).hexdigest()
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotBroken(f"{path.name} has no readable head.") from error
    if not whole:
        raise SnapshotBroken(f"{path.name} is cut, changed, or of another format.")
    return snapshot
