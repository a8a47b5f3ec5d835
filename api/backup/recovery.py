"""A cluster made of a base backup and an archived log. PostgreSQL replays the log itself when it starts.

It ends on a timeline of its own, so that it can never be taken for the cluster it was made from.
"""

import os
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import orjson

from api.backup.archive import Archive
from api.backup.manifest import BASE, BASE_MANIFEST, Manifest
from api.backup.progress import Say, told
from api.backup.store import Store, ahead
from api.backup.untar import unpack
from configs import files, postgres_cluster
from configs.datadir import Layout
from configs.errors import ConfigurationError, DamagedBackup

Until = Literal["base", "end"] | datetime
"""How far: where the base is consistent, all there is, or a moment."""

RECOVERY = "recovery.signal"
SETTINGS = "postgresql.auto.conf"


def put_back(store: Store, backup: Manifest, layout: Layout, until: Until, say: Say) -> None:
    """Make the cluster of a held data directory. PostgreSQL itself flushes every file of it when it starts.

    Raises:
        DamagedBackup: a part is missing or not what was written, or the log has a gap.
        ConfigurationError: the disk is full.
    """
    draft = layout.postgres / f"new-{secrets.token_hex(4)}"
    with files.disk_faults(layout.postgres):
        try:
            draft.mkdir(mode=0o700)
            cluster = draft / "data"
            unpack(told(ahead(store.fetch(backup, BASE)), say, "database"), cluster, layout.account)
            compare(cluster, b"".join(store.fetch(backup, BASE_MANIFEST)))
            if until != "base":
                _put_log(store, backup, layout, cluster / "pg_wal", say)
            _write(layout, cluster / SETTINGS, _settings(until).encode())
            _write(layout, cluster / RECOVERY, b"")
            cluster.rename(postgres_cluster.path(layout))
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        files.sync_folder(layout.postgres)


def compare(cluster: Path, manifest: bytes) -> None:
    """Insist that a cluster that lies still has the files that PostgreSQL says it sent, each in its length.

    What is in them is proven by the seal. The wheel's own `pg_verifybackup` ends with a segmentation fault (18.4).

    Raises:
        DamagedBackup: a file is missing or has another length.
    """
    for entry in orjson.loads(manifest)["Files"]:
        path = cluster / entry.get("Path", os.fsdecode(bytes.fromhex(entry.get("Encoded-Path", ""))))
        if not path.is_file() or path.stat().st_size != entry["Size"]:
            raise DamagedBackup(f"the base backup lacks {path.name}, or has another one: take another with --id")


def settle(layout: Layout) -> None:
    """After the recovery: the settings that ruled it go."""
    (postgres_cluster.path(layout) / SETTINGS).write_bytes(b"")


def _put_log(store: Store, backup: Manifest, layout: Layout, folder: Path, say: Say) -> None:
    if backup.wal is None or backup.wal.archive is None:
        return
    archive = Archive(store, backup.wal.archive)
    segments = archive.segments(backup.wal.timeline, backup.wal.end)
    say(f"log: {len(segments)} segments")
    for segment in segments:
        _write(layout, folder / segment.file, archive.content(segment))


def _settings(until: Until) -> str:
    """The segments lie in the cluster already, so asking elsewhere (`restore_command`) always finds nothing."""
    settings = {
        "restore_command": "false",
        "hot_standby": "off",  # nobody is let in before it has ended
        "recovery_target_timeline": "current",
        "recovery_target_action": "promote",
    }
    if isinstance(until, datetime):
        settings["recovery_target_time"] = f"{until.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"
    elif until == "base":
        settings["recovery_target"] = "immediate"
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def _write(layout: Layout, path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        if layout.account:
            os.fchown(fd, layout.account.uid, layout.account.gid)
        file.write(content)


def explained(error_message: str, until: Until) -> ConfigurationError | None:
    """The one way in which a recovery fails that the operator can mend, in words for them."""
    if isinstance(until, datetime) and "before configured recovery target was reached" in error_message:
        return ConfigurationError(
            f"the backed up log has no change after {until:%Y-%m-%d %H:%M:%S %Z}, so it cannot be told whether it is "
            "whole up to there: leave --at away to restore all there is"
        )
    return None
