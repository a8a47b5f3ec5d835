"""The archive of PostgreSQL's log: segments, each compressed and sealed, under the id of a replication slot.

    wal/<archive>/000000010000000000000007            a whole segment
    wal/<archive>/000000010000000000000008.partial    the beginning of the one that is being written
    wal/<archive>/files                               the files, as they were last

A slot lives with one cluster and is in no backup, so a restored cluster begins an archive of its own.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from api.backup.store import Store
from api.backup.tree import Listing
from api.db import survey
from api.db.replication import SEGMENT_BYTES, segment_name, segment_number, segment_of
from configs.errors import DamagedBackup
from configs.postgres_settings import ARCHIVE_SLOT

FOLDER = "wal/"
PARTIAL = ".partial"
FILES = "files"
LEVEL = 1
"""Of zlib: half-empty segments shrink to nearly nothing, and it is fast."""


@dataclass(frozen=True)
class Segment:
    """A segment of an archive."""

    name: str
    """Of the object."""
    file: str
    """As PostgreSQL calls it."""

    @property
    def number(self) -> int:
        """Its place in the log."""
        return segment_number(self.file)


class Archive:
    """One archive in one target."""

    def __init__(self, store: Store, archive_id: str) -> None:
        self._store = store
        self._folder = f"{FOLDER}{archive_id}/"

    def put(self, file: str, content: bytes, *, whole: bool) -> None:
        """Keep a segment, or the beginning of one."""
        name = self._folder + file
        self._store.put(name if whole else name + PARTIAL, zlib.compress(content, LEVEL))
        if whole:
            self._store.target.delete(name + PARTIAL)

    def put_files(self, listing: Listing) -> None:
        """Keep the listing of the files as they are now."""
        self._store.put(self._folder + FILES, listing.text())

    def files(self) -> Listing:
        """The files as they were last."""
        if self._folder + FILES not in self._store.target.names(self._folder + FILES):
            return Listing()
        return Listing.model_validate_json(self._store.get(self._folder + FILES))

    def content(self, segment: Segment) -> bytes:
        """A segment as PostgreSQL wants it, filled up with zeros.

        Raises:
            DamagedBackup: it is not what was written.
        """
        return zlib.decompress(self._store.get(segment.name)).ljust(SEGMENT_BYTES, b"\0")

    def segments(self, timeline: int, start: int) -> list[Segment]:
        """The segments from a position on, without a gap.

        Raises:
            DamagedBackup: one is missing in between.
        """
        first = segment_of(start)
        found = [segment for segment in self._all(timeline) if segment.number >= first]
        for number, segment in enumerate(found, first):
            if segment.number != number:
                lacking = segment_name(timeline, number)
                raise DamagedBackup(
                    f"{self._store.target.place} lacks {self._folder}{lacking}, so the log has a gap there"
                )
        return found

    def forget_before(self, start: int) -> int:
        """Remove the segments that end before a position; how many they were."""
        old = [name for name in self._names() if segment_number(name.rpartition("/")[2]) < segment_of(start)]
        for name in old:
            self._store.target.delete(name)
        return len(old)

    def forget(self) -> int:
        """Remove all of it."""
        names = list(self._store.target.names(self._folder))
        for name in names:
            self._store.target.delete(name)
        return len(names)

    def _names(self) -> Iterator[str]:
        return (name for name in self._store.target.names(self._folder) if name != self._folder + FILES)

    def _all(self, timeline: int) -> list[Segment]:
        """One per number: a whole one counts before its beginning."""
        found: dict[str, Segment] = {}
        for name in self._names():  # in order, so that the whole one comes first
            file = name.rpartition("/")[2].removesuffix(PARTIAL)
            if int(file[:8], 16) == timeline:
                found.setdefault(file, Segment(name, file))
        return list(found.values())


def archives(store: Store) -> set[str]:
    """The ids of all archives in a target."""
    return {name.split("/")[1] for name in store.target.names(FOLDER)}


def archive_of(root_url: str) -> str | None:
    """The archive that the log of this server is shipped to now; None when it is not shipped."""
    sound = [name for name, kept in survey.slots(root_url, ARCHIVE_SLOT).items() if kept]
    return sound[0].removeprefix(ARCHIVE_SLOT) if sound else None
