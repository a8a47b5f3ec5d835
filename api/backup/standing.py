"""How the process that takes backups stands, in a file: which of its works is hindered, why, and since when.

It writes, `/readyz`, `manta status` and `manta db backups` read. The sentences name files and are not for everybody.
"""

import logging
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import orjson

from configs import files
from configs.errors import ConfigurationError

log = logging.getLogger(__name__)

FILE = "archivist.json"
Work = Literal["start", "log", "backup"]
NOT_DONE: dict[Work, str] = {
    "start": "backups cannot begin",
    "log": "the log is not shipped",
    "backup": "no backup is taken",
}


class Standing:
    """Of one archivist; its threads share it."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._hindered: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        self._write()

    def hindered(self, work: Work, why: str) -> None:
        """Note what stands in the way; it is logged when it is news."""
        with self._lock:
            if self._hindered.get(work, {}).get("why") == why:
                return
            log.error("%s: %s", NOT_DONE[work], why)
            self._hindered[work] = {"why": why, "since": datetime.now(UTC).isoformat(timespec="seconds")}
            self._write()

    def goes_on(self, work: Work) -> None:
        """Nothing stands in its way."""
        with self._lock:
            if self._hindered.pop(work, None) is not None:
                log.info("%s no more: it goes on", NOT_DONE[work])
                self._write()

    def _write(self) -> None:
        try:
            with files.disk_faults(self._path):
                files.write_whole(self._path, orjson.dumps(self._hindered).decode())
        except ConfigurationError as error:
            log.warning("%s", error.message)  # backups matter more than telling of them


def hindrances(data_dir: Path) -> list[str]:
    """What stands in the way of backups, a sentence each; none when all is well or no archivist was ever started."""
    try:
        told = orjson.loads((data_dir / FILE).read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        return [f"{data_dir / FILE} cannot be read ({type(error).__name__})"]
    return [f"{NOT_DONE[work]} since {each['since']}: {each['why']}" for work, each in told.items()]


def forget(data_dir: Path) -> None:
    """There is no archivist any more."""
    (data_dir / FILE).unlink(missing_ok=True)
