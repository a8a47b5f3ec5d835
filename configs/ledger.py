"""What the launcher started, on disk, so that after its sudden death the next one finds what is left.

The file holds environments and with them secrets: it is 0600. It does not know how to end or heal anything.
"""

import json
import threading
from pathlib import Path
from typing import Any

from configs import files, procfs
from configs.accounts import Account
from configs.errors import ConfigurationError
from configs.processes import Child, Command


class Ledger:
    """A JSON file of running children. One launcher writes it, the one that holds the data directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def add(self, child: Child) -> None:
        """Write a child down before anything else may fail.

        Raises:
            ConfigurationError: the file is damaged or cannot be written.
        """
        with self._lock:
            self._write([*(entry for entry in self._read() if entry.pid != child.pid), child])

    def remove(self, child: Child) -> None:
        """Strike a child that has ended.

        Raises:
            ConfigurationError: the file is damaged or cannot be written.
        """
        with self._lock:
            self._write([entry for entry in self._read() if entry != child])

    def survivors(self) -> list[Child]:
        """Children that still run, oldest first: same pid, same start time, same boot. Each carries its command.

        Raises:
            ConfigurationError: the file is damaged.
        """
        with self._lock:
            return [child for child in self._read() if child.alive()]

    def _read(self) -> list[Child]:
        try:
            page = json.loads(self._path.read_text(encoding="utf-8"))
            return [_child(entry) for entry in page["children"]] if page["boot_id"] == procfs.boot_id() else []
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError) as exc:
            msg = f"{str(self._path)!r} is damaged: make sure that no process of Manta is left, then delete it"
            raise ConfigurationError(msg) from exc

    def _write(self, children: list[Child]) -> None:
        page = {"boot_id": procfs.boot_id(), "children": [_entry(child) for child in children]}
        with files.disk_faults(self._path):
            files.write_whole(self._path, json.dumps(page, indent=1))


def _entry(child: Child) -> dict[str, Any]:
    command = child.command
    entry: dict[str, Any] = {"name": child.name, "pid": child.pid, "started_at": child.started_at, "command": None}
    if command is not None:
        account = command.account
        entry["command"] = {
            "argv": list(command.argv),
            "cwd": str(command.cwd),
            "env": dict(command.env),
            "log": str(command.log),
            "account": [account.name, account.uid, account.gid] if account else None,
        }
    return entry


def _child(entry: dict[str, Any]) -> Child:
    kept = entry["command"]
    command = None
    if kept is not None:
        command = Command(
            name=entry["name"],
            argv=tuple(kept["argv"]),
            cwd=Path(kept["cwd"]),
            env=kept["env"],
            log=Path(kept["log"]),
            account=Account(*kept["account"]) if kept["account"] else None,
        )
    return Child(entry["name"], entry["pid"], entry["started_at"], command)
