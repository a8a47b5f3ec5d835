"""The log of the embedded server, shipped as it is written.

The server keeps every byte until it is acknowledged, and here only what lies in the target is acknowledged: a target
that is away for an hour costs disk space and nothing else. What is younger than `PERIOD_S` may go with the machine.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable

from api.backup.archive import Archive
from api.backup.store import Store
from api.db import survey
from api.db.replication import SEGMENT_BYTES, Log, Replication, Standing, segment_name, segment_of
from configs.errors import Unavailable
from configs.postgres import EmbeddedPostgres
from configs.postgres_settings import ARCHIVE_SLOT

log = logging.getLogger(__name__)

PERIOD_S = 20.0
"""At most so long the beginning of a segment waits; the goal is 60 s, and sending takes a while too."""
POLL_S = 1.0


class Shipping:
    """One server's log on its way to one target."""

    def __init__(self, store: Store, server: EmbeddedPostgres, period_s: float = PERIOD_S) -> None:
        self._store = store
        self._server = server
        self._period_s = period_s

    def prepare(self) -> str:
        """The archive that is written, begun anew when there is none or its slot was lost; at most one slot is kept.

        Raises:
            Unavailable: the database is away.
        """
        found = survey.slots(self._server.root_url, ARCHIVE_SLOT)
        sound = [name for name, kept in found.items() if kept]
        with Replication(self._server.backup_url) as replication:
            for name in found:
                if name not in sound[:1]:
                    log.warning("the slot %s fell behind and is dropped; a new archive begins", name)
                    replication.drop_slot(name)
            if not sound:
                sound = [f"{ARCHIVE_SLOT}{secrets.token_hex(4)}"]
                replication.make_slot(sound[0])
        return sound[0].removeprefix(ARCHIVE_SLOT)

    def run(self, archive_id: str, stop: threading.Event, goes_on: Callable[[], None] = lambda: None) -> None:
        """Ship until `stop` is set; `goes_on` is called whenever what came so far lies in the target.

        Raises:
            MantaError: the server or the target is away; what was not shipped is still kept, so call it again.
        """
        slot = ARCHIVE_SLOT + archive_id
        with Replication(self._server.backup_url) as replication:
            standing = replication.standing()
            start = replication.slot(slot)
            if start is None:
                raise Unavailable(f"the slot {slot} is gone")
            start -= start % SEGMENT_BYTES
            stream = replication.follow(slot, standing, start)
            _Carrier(Archive(self._store, archive_id), standing, stream, start, self._period_s, goes_on).run(stop)


class _Carrier:
    """The segment that is being written, and what of it is in the archive already."""

    def __init__(
        self,
        archive: Archive,
        standing: Standing,
        stream: Log,
        start: int,
        period_s: float,
        goes_on: Callable[[], None],
    ) -> None:
        self._archive = archive
        self._timeline = standing.timeline
        self._stream = stream
        self._start = start
        self._segment = bytearray()
        self._kept = 0
        self._kept_at = time.monotonic()
        self._period_s = period_s
        self._goes_on = goes_on

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            piece = self._stream.next(min(POLL_S, self._period_s))
            if piece is not None:
                self._take(*piece)
            if self._stream.asked or time.monotonic() - self._kept_at >= self._period_s:
                self._keep_beginning()
        self._keep_beginning()

    def _take(self, position: int, content: memoryview) -> None:
        if position != self._start + len(self._segment):
            raise Unavailable("the database sent its log out of order")
        while content:
            room = SEGMENT_BYTES - len(self._segment)
            self._segment += content[:room]
            content = content[room:]
            if len(self._segment) == SEGMENT_BYTES:
                self._keep_whole()

    def _keep_whole(self) -> None:
        self._archive.put(self._file, bytes(self._segment), whole=True)
        self._start += SEGMENT_BYTES
        self._segment.clear()
        self._acknowledge()

    def _keep_beginning(self) -> None:
        if len(self._segment) > self._kept:
            self._archive.put(self._file, bytes(self._segment), whole=False)
        self._acknowledge()

    def _acknowledge(self) -> None:
        self._kept, self._kept_at = len(self._segment), time.monotonic()
        self._stream.acknowledge(self._start + self._kept)
        self._goes_on()

    @property
    def _file(self) -> str:
        return segment_name(self._timeline, segment_of(self._start))
