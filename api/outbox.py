"""The usage outbox: a row is on this machine's disk before its request counts as done, and in PostgreSQL soon after.

Rows are lines of a file that is renamed before it is sent and deleted after the commit; a row that is sent twice is
stored once, by its id. So a crash of this process or a pause of the database loses nothing.
"""

import asyncio
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from api import metrics
from api.db import usage as usage_queries
from api.db.session import Database
from api.scope import Scope
from configs.errors import Unavailable

log = logging.getLogger(__name__)

FLUSH_S = 1.0
BATCH_ROWS = 1000


class Outbox:
    """One process's outbox in the folder that all share."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database
        self._open_path = folder / f"open-{os.getpid()}.jsonl"
        self._file: BinaryIO | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row; it is in the file when this returns. A disk that takes none costs the row, and says so."""
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        try:
            if self._file is None:
                self._file = self._open_path.open("ab", buffering=0)
            self._file.write(line)
        except OSError:
            metrics.LOST_USAGE.inc()
            log.exception("a usage row could not be written to %s", self._open_path)
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_S, self._begin_flush)

    def adopt(self) -> None:
        """Take over what processes that ended left behind."""
        for path in self._folder.glob("open-*.jsonl"):
            pid = int(path.stem.removeprefix("open-"))
            if pid == os.getpid() or not Path(f"/proc/{pid}").exists():
                self._close(path)
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_S, self._begin_flush)

    async def flush(self) -> None:
        """Send everything that is kept; what cannot be sent stays."""
        self._close_open()
        for path in sorted(self._folder.glob("closed-*.jsonl")):
            try:
                await self._send(path)
            except Unavailable:
                log.info("usage rows wait in %s for the database", path.name)
                return
            except FileNotFoundError:
                log.info("%s was sent by another process", path.name)
            except Exception:
                log.exception("%s is set aside: its rows cannot be stored", path.name)
                path.rename(path.with_suffix(".refused"))

    async def _send(self, path: Path) -> None:
        rows = await asyncio.to_thread(_read_rows, path)
        for organization_id, own in _by_organization(rows).items():
            for start in range(0, len(own), BATCH_ROWS):
                async with self._database.unit(Scope(organization_id)) as session:
                    await usage_queries.add_all(session, own[start : start + BATCH_ROWS])
        await asyncio.to_thread(path.unlink, missing_ok=True)

    def _begin_flush(self) -> None:
        self._timer = None
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._flush_and_repeat())
        else:
            self._timer = self._loop.call_later(FLUSH_S, self._begin_flush)

    async def _flush_and_repeat(self) -> None:
        await self.flush()
        if self._timer is None and any(self._folder.glob("closed-*.jsonl")):
            self._timer = self._loop.call_later(FLUSH_S, self._begin_flush)

    def _close_open(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._close(self._open_path)

    def _close(self, path: Path) -> None:
        """Nothing more is written to it. Names sort by time; the rest keeps two processes apart."""
        path.rename(self._folder / f"closed-{time.time_ns()}-{os.urandom(4).hex()}.jsonl")


def _by_organization(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["organization_id"], []).append(row)
    return grouped


def _read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, made durable first; a last line that was torn by a crash is left out."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        lines = file.read().split(b"\n")
    rows = []
    for line in lines[:-1]:
        row = orjson.loads(line)
        row["created_at"] = datetime.fromtimestamp(row["created_at"], UTC)
        rows.append(row)
    return rows
