"""PostgreSQL's streaming replication protocol: a base backup, and the log as it grows (manual, chapters 54.4 and 54.9).

    with Replication(url) as server:
        base = server.base_backup("nightly")
        for piece in base: ...                    # a tar of the cluster, its log included

One connection does one thing at a time. It does not know where the bytes go.
"""

import select
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from psycopg import conninfo, pq

from configs.errors import Internal, Unavailable

SEGMENT_BYTES = 16 * 2**20
"""initdb's default, which ours takes."""

CONNECT_TIMEOUT_S = 10
_EPOCH_S = 946_684_800  # 2000-01-01, from which PostgreSQL counts
_TABLES = pq.ExecStatus.TUPLES_OK


@dataclass(frozen=True)
class Standing:
    """Where a server's log stands."""

    system_id: str
    timeline: int
    position: int


class Replication:
    """A connection of a role that may replicate."""

    def __init__(self, url: str) -> None:
        self._where = conninfo.make_conninfo(
            url, replication="true", connect_timeout=CONNECT_TIMEOUT_S, application_name="manta backup"
        )

    def __enter__(self) -> Self:
        self._server = pq.PGconn.connect(self._where.encode())
        if self._server.status != pq.ConnStatus.OK:
            words = self._server.error_message.decode("utf-8", "replace")
            self._server.finish()
            raise Unavailable(f"the database takes no replication connection{_reason(words)}")
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._server.finish()

    def standing(self) -> Standing:
        """The server's identity, timeline and position."""
        system, timeline, position, _ = self._row("IDENTIFY_SYSTEM")
        return Standing(system, int(timeline), position_of(position))

    def make_slot(self, name: str, *, temporary: bool = False) -> None:
        """Make the server keep its log from now on: as long as this connection lasts, or until `drop_slot`."""
        kind = "TEMPORARY PHYSICAL" if temporary else "PHYSICAL"
        self._row(f'CREATE_REPLICATION_SLOT "{name}" {kind} (RESERVE_WAL)')

    def slot(self, name: str) -> int | None:
        """The position from which on the slot keeps the log; None when there is no such slot, or it keeps nothing."""
        kind, position, _ = self._row(f'READ_REPLICATION_SLOT "{name}"')
        return position_of(position) if kind and position else None

    def drop_slot(self, name: str) -> None:
        """Let the log go."""
        self._command(f'DROP_REPLICATION_SLOT "{name}"')

    def base_backup(self, label: str) -> "BaseBackup":
        """Begin a base backup, with a checkpoint at once."""
        options = f"LABEL '{label}', CHECKPOINT 'fast', WAL true, MANIFEST 'yes', WAIT true"
        self._server.send_query(f"BASE_BACKUP ({options})".encode())
        start, timeline = self._first(self._result(_TABLES))
        tablespaces = self._result(_TABLES)
        if tablespaces.ntuples != 1:
            msg = "the cluster has tablespaces, which are not backed up: move their tables to pg_default"
            raise Internal(msg)
        self._result(pq.ExecStatus.COPY_OUT)
        return BaseBackup(self, position_of(start), int(timeline))

    def follow(self, slot: str, standing: Standing, start: int) -> "Log":
        """The log from `start` on, of the server's own timeline."""
        command = f'START_REPLICATION SLOT "{slot}" PHYSICAL {text_of(start)} TIMELINE {standing.timeline}'
        self._server.send_query(command.encode())
        self._result(pq.ExecStatus.COPY_BOTH)
        return Log(self._server)

    def pieces(self) -> Iterator[memoryview]:
        """What a COPY sends, message by message."""
        while True:
            length, message = self._server.get_copy_data(0)
            if length == -1:
                return
            yield message

    def ended(self) -> int:
        """The position at the end of a base backup."""
        position, _ = self._first(self._result(_TABLES))
        self._result(pq.ExecStatus.COMMAND_OK)
        return position_of(position)

    def _row(self, command: str) -> list[str]:
        return self._first(self._command(command))

    def _command(self, command: str) -> pq.abc.PGresult:
        result = self._server.exec_(command.encode())
        if result.status not in (_TABLES, pq.ExecStatus.COMMAND_OK):
            raise _refusal(result)
        return result

    def _result(self, wanted: pq.ExecStatus) -> pq.abc.PGresult:
        result = self._server.get_result()
        if result is None:
            raise Unavailable("the database closed the replication connection")
        if result.status != wanted:
            raise _refusal(result)
        return result

    @staticmethod
    def _first(result: pq.abc.PGresult) -> list[str]:
        return [(result.get_value(0, column) or b"").decode() for column in range(result.nfields)]


class BaseBackup:
    """The tar of a cluster as it arrives; afterwards `end` and `manifest` are known."""

    def __init__(self, server: Replication, start: int, timeline: int) -> None:
        self.start = start
        self.timeline = timeline
        self.end = 0
        self.manifest = b""
        self._server = server

    def __iter__(self) -> Iterator[memoryview]:
        manifest: list[bytes] | None = None
        for message in self._server.pieces():
            kind, content = bytes(message[:1]), message[1:]
            if kind == b"m":
                manifest = []
            elif kind == b"d" and manifest is None:
                yield content
            elif kind == b"d" and manifest is not None:
                manifest.append(bytes(content))
        self.end = self._server.ended()
        self.manifest = b"".join(manifest or [])


class Log:
    """The write-ahead log as it is written; the server keeps what was not acknowledged."""

    def __init__(self, server: pq.abc.PGconn) -> None:
        self._server = server
        self.asked = False
        """Whether the server waits for an acknowledgement; it does so before it shuts down."""

    def next(self, timeout_s: float) -> tuple[int, memoryview] | None:
        """The next piece with its position; None when none comes in time.

        Raises:
            Unavailable: the server is gone, or no longer has what comes next.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            length, message = self._server.get_copy_data(1)
            if length == -1:
                raise Unavailable("the database ended the stream of its log")
            if length == 0:
                if not self._more(deadline - time.monotonic()):
                    return None
                continue
            kind = bytes(message[:1])
            if kind == b"w":
                (position,) = struct.unpack_from(">Q", message, 1)
                return position, message[25:]
            if kind == b"k" and message[17]:
                self.asked = True
                return None

    def acknowledge(self, position: int) -> None:
        """Tell that everything before `position` is safe elsewhere."""
        now_us = int((time.time() - _EPOCH_S) * 1e6)
        self._server.put_copy_data(struct.pack(">cQQQQB", b"r", position, position, position, now_us, 0))
        self._server.flush()
        self.asked = False

    def _more(self, timeout_s: float) -> bool:
        """Wait for bytes; false when the time is over."""
        if not select.select([self._server.socket], [], [], max(0.0, timeout_s))[0]:
            return False
        try:
            self._server.consume_input()
        except Exception as error:
            raise Unavailable("the database ended the stream of its log") from error
        return True


def position_of(text: str) -> int:
    """`16/B374D848` as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def text_of(position: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def segment_of(position: int) -> int:
    """The number of the segment that a position is in."""
    return position // SEGMENT_BYTES


def segment_name(timeline: int, number: int) -> str:
    """The file of a segment."""
    per_high = 2**32 // SEGMENT_BYTES
    return f"{timeline:08X}{number // per_high:08X}{number % per_high:08X}"


def segment_number(name: str) -> int:
    """The number of the segment in a file of that name."""
    return int(name[8:16], 16) * (2**32 // SEGMENT_BYTES) + int(name[16:24], 16)


REASONS = {
    "no pg_hba.conf entry": ": its pg_hba.conf has no line for it; restart Manta, which writes that file",
    "password authentication failed": ": the secret of the role is not the one it was made with; restart Manta, which "
    "sets it",
    "too many clients": ": all its connections are taken; see `max_connections`",
    "remaining connection slots": ": all its connections are taken; see `max_connections`",
}


def _reason(words: str) -> str:
    found = (told for mark, told in REASONS.items() if mark in words)
    return next(found, ": `manta logs --part postgres` tells why")


def _refusal(result: pq.abc.PGresult) -> Unavailable:
    words = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"no reason given").decode("utf-8", "replace")
    return Unavailable(f"the database refused to be replicated: {words}")
