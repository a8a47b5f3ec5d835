"""A backup turned into an installation again, in a data directory that nobody used.

A mark in the directory keeps `manta serve` away until everything is back and what was erased is erased again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import SecretStr

from api.audit import anchors
from api.backup import recovery, tree
from api.backup.aftermath import Aftermath, settle
from api.backup.archive import Archive
from api.backup.erasures import gathered
from api.backup.manifest import SECRETS, TABLE, Manifest
from api.backup.progress import Say, silent, told
from api.backup.recovery import Until
from api.backup.store import Store
from api.db import copying, schema
from api.db.offline import OfflineDatabase
from configs import files
from configs.datadir import Layout
from configs.errors import BadRequest, ConfigurationError, Internal
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres

Result = TypeVar("Result")
RECOVERY_TIMEOUT_S = 6 * 3600.0
HARMLESS = {"lock", "run", "lost+found", "master_keys", anchors.FILE}


def choose(store: Store, backup_id: str | None, at: datetime | None) -> Manifest:
    """The backup that is meant: by its id, the last that was complete at a moment, or the newest.

    Raises:
        BadRequest: it cannot lead to that moment.
        NotFound: there is none.
        DamagedBackup, ConfigurationError: see `Store.manifest`.
    """
    if at is None:
        return store.manifest(backup_id)
    if backup_id is None:
        early = [backup for backup in store.all() if backup.finished_at <= at]
        if not early:
            first = store.manifest(store.ids()[0]) if store.ids() else store.manifest(None)
            raise BadRequest(f"the oldest backup is of {first.finished_at:%Y-%m-%d %H:%M:%S %Z}: --at must be later")
        found = early[-1]
    else:
        found = store.manifest(backup_id)
    if found.finished_at > at:
        raise BadRequest(f"{found.id} was complete at {found.finished_at:%Y-%m-%d %H:%M:%S %Z}: --at must be later")
    if found.wal is None or found.wal.archive is None:
        raise BadRequest(f"{found.id} has no archived log, so --at cannot be reached: leave it away (docs/backups.md)")
    return found


def refuse_used(data_dir: Path) -> None:
    """Insist that nobody used a data directory; a keyring or anchors of the audit log that were put there are welcome.

    Raises:
        ConfigurationError: something is in it.
    """
    used = (path for path in data_dir.rglob("*") if path.name not in HARMLESS and not path.is_dir())
    if found := next(used, None):
        raise ConfigurationError(
            f"{str(data_dir)!r} is in use (it has {found.relative_to(data_dir)}): restore into an empty --data-dir"
        )


@dataclass(frozen=True)
class Known:
    """What is known of the old installation beside its backups."""

    erasures: Path | None = None
    """A copy of its ledger of erasures."""
    anchors: Path | None = None
    """The file of its audit log's anchors, where it is not in the data directory."""


def restore(
    store: Store,
    backup: Manifest,
    layout: Layout,
    *,
    until: Until = "end",
    say: Say = silent,
    known: Known = Known(),
) -> Aftermath:
    """Restore into a held, unused data directory with a server of its own.

    Raises:
        DamagedBackup: a part is missing or not what was written, or it cannot be told who was erased since.
        ConfigurationError: the disk is full, or the moment cannot be reached.
        MantaError: the server does not start, or what follows cannot be done.
    """
    erased = gathered(store, backup, known.erasures, say)

    def follow(server: EmbeddedPostgres) -> Aftermath:
        return settle(OfflineDatabase(layout, None, server.urls), _anchors(layout, known), erased, say)

    return rebuild(store, backup, layout, until=until, say=say, then=follow)


def rebuild(
    store: Store,
    backup: Manifest,
    layout: Layout,
    *,
    until: Until = "end",
    say: Say = silent,
    with_files: bool = True,
    then: Callable[[EmbeddedPostgres], Result],
) -> Result:
    """As a backup has it, whoever was erased since; `then` is given the server while it runs. Errors as `restore`."""
    layout.unfinished.touch(mode=0o600)
    _put_secrets(store, backup, layout)
    if with_files:
        _put_files(store, backup, layout, until, say)
    if backup.kind == "base":
        recovery.put_back(store, backup, layout, until, say)
    server = EmbeddedPostgres(layout)
    try:
        server.start()
        _wait(server, until)
        if backup.kind == "logical":
            put_rows(store, backup, server.urls.owner_url, server.root_url, say)
        result = then(server)
    finally:
        server.stop()
    if backup.kind == "base":
        recovery.settle(layout)
    layout.unfinished.unlink()
    return result


def restore_into(
    store: Store,
    backup: Manifest,
    layout: Layout,
    url: str,
    say: Say = silent,
    known: Known = Known(),
) -> Aftermath:
    """Restore rows into an empty database of the operator's, the rest into a held, unused data directory.

    Raises:
        BadRequest: the backup is one of a cluster's files.
        MantaError: see `restore`.
    """
    if backup.kind == "base":
        raise BadRequest(f"{backup.id} holds the files of an embedded server: unset DATABASE_URL to restore it")
    copying.refuse_filled(url)
    erased = gathered(store, backup, known.erasures, say)
    layout.unfinished.touch(mode=0o600)
    _put_secrets(store, backup, layout)
    _put_files(store, backup, layout, "end", say)
    put_rows(store, backup, url, url, say)
    done = settle(OfflineDatabase(layout, SecretStr(url)), _anchors(layout, known), erased, say)
    layout.unfinished.unlink()
    return done


def _anchors(layout: Layout, known: Known) -> Path:
    return known.anchors or layout.data_dir / anchors.FILE


def put_rows(store: Store, backup: Manifest, owner_url: str, url: str, say: Say) -> None:
    """Make the schema as it was, and fill it; `url` is of a role that may write every row.

    Raises:
        ConfigurationError: this version does not know the backup's schema.
        DamagedBackup: a part is missing or not what was written.
    """
    if backup.revision is None or not schema.known(backup.revision):
        raise ConfigurationError(
            f"{backup.id} has the schema {backup.revision!r}, which this version does not know: restore with Manta "
            f"{backup.version}, then upgrade"
        )
    schema.upgrade(owner_url, backup.revision)
    tables = [name.removeprefix(TABLE) for name in backup.streams if name.startswith(TABLE)]
    copying.write(url, tables, lambda table: told(store.fetch(backup, TABLE + table), say, table))


def _wait(server: EmbeddedPostgres, until: Until) -> None:
    try:
        server.wait_ready(RECOVERY_TIMEOUT_S)
    except Internal as error:
        if told_better := recovery.explained(error.message, until):
            raise told_better from error
        raise


def _put_secrets(store: Store, backup: Manifest, layout: Layout) -> None:
    with files.disk_faults(layout.secrets):
        for name, text in orjson.loads(b"".join(store.fetch(backup, SECRETS))).items():
            if Path(name).name == name:
                files.write_whole(layout.secrets / name, text)


def _put_files(store: Store, backup: Manifest, layout: Layout, until: Until, say: Say) -> None:
    """Files only ever come; so those that the archive saw last are good for any moment before."""
    listing = tree.listing_of(store, backup)
    if until != "base" and backup.wal is not None and backup.wal.archive is not None:
        listing = Archive(store, backup.wal.archive).files().over(listing)
    tree.put_back(listing, store, layout.data_dir)
    say(f"files: {len(listing.files)}")


def put_master_keys(keys: Path, layout: Layout) -> None:
    """Put a keyring where the restored installation looks for it.

    Raises:
        ConfigurationError: it cannot be read, or the disk is full.
    """
    Keyring.read(keys)
    if keys.resolve() != layout.master_keys:
        with files.disk_faults(layout.master_keys):
            files.write_whole(layout.master_keys, keys.read_text("utf-8"))
