"""The proof of a backup: every part is what was written, and a second server made of it holds what the first one held.

What the server must hold is counted here; what else was promised is in `api.backup.proofs`.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.backup import proofs, tree
from api.backup.archive import Archive
from api.backup.manifest import Manifest
from api.backup.progress import Say, silent
from api.backup.proofs import Proofs
from api.backup.restore import rebuild
from api.backup.store import Store
from api.backup.tree import Listing
from api.db import survey
from configs.datadir import Layout
from configs.errors import DamagedBackup
from configs.postgres import EmbeddedPostgres


@dataclass(frozen=True)
class Verdict:
    """What a drill found."""

    backup: str
    parts: int
    bytes: int
    files: int
    segments: int
    rows: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the backup is good."""
        return not self.problems


def verify(store: Store, backup: Manifest, scratch: Path | None = None, say: Say = silent) -> Verdict:
    """Check one backup. `scratch` is a folder with room for the whole database; without it, the system's own.

    Raises:
        MantaError: the target or the second server cannot be used. What is wrong with the backup is in the verdict.
    """
    problems: list[str] = []
    listing, segments, rows = Listing(), 0, 0
    try:
        _check_parts(store, backup, say)
        listing = tree.listing_of(store, backup)
        tree.check(listing, store)
        segments = _check_log(store, backup, say)
        promised = proofs.proofs_of(store, backup)
        with _scratch(scratch) as layout:
            found, more = rebuild(
                store, backup, layout, until="base", say=say, with_files=False,
                then=lambda server: _look(server, store, backup, promised),
            )  # fmt: skip
        rows = sum(found.values())
        problems += more
    except DamagedBackup as damage:
        problems.append(damage.message)
    parts = [part for stream in backup.streams.values() for part in stream]
    return Verdict(backup.id, len(parts), backup.size, len(listing.files), segments, rows, tuple(problems))


def _look(
    server: EmbeddedPostgres, store: Store, backup: Manifest, promised: Proofs
) -> tuple[dict[str, int], list[str]]:
    found = survey.survey(server.root_url)
    return found.rows, compare(found, backup) + proofs.check(server, promised, store.keys)


def compare(found: survey.Survey, backup: Manifest) -> list[str]:
    """Revision and rows, as the manifest has them."""
    problems = []
    if found.revision != backup.revision:
        problems.append(f"the schema is {found.revision}, and was {backup.revision}")
    for table, count in backup.rows.items():
        rows = found.rows.get(table)
        if rows is None:
            problems.append(f"the table {table} is missing")
        elif not count.allows(rows):
            problems.append(
                f"the table {table} has {rows} rows, and had {count.rows} (+{count.added} -{count.removed})"
            )
    return problems


def _check_parts(store: Store, backup: Manifest, say: Say) -> None:
    parts = [part for stream in backup.streams.values() for part in stream]
    for part in parts:
        store.check(part)
    say(f"parts: {len(parts)}, all as they were written")


def _check_log(store: Store, backup: Manifest, say: Say) -> int:
    """Open every segment that a restore would need."""
    if backup.wal is None or backup.wal.archive is None:
        return 0
    archive = Archive(store, backup.wal.archive)
    segments = archive.segments(backup.wal.timeline, backup.wal.end)
    for segment in segments:
        archive.content(segment)
    say(f"log: {len(segments)} segments without a gap")
    return len(segments)


@contextmanager
def _scratch(folder: Path | None) -> Iterator[Layout]:
    """A data directory for a moment; the servers' account must be able to pass."""
    root = Path(tempfile.mkdtemp(prefix="manta-drill-", dir=folder))
    try:
        root.chmod(0o711)
        layout = Layout(root / "data")
        with layout.hold(command="manta db verify"):
            yield layout
        shutil.rmtree(layout.run_dir, ignore_errors=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
