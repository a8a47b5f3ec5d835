"""Backups as the commands take, list, restore and prove them. Imported late: it brings SQLAlchemy."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from api.audit import anchors
from api.backup import drill, restore
from api.backup.manifest import Manifest
from api.backup.progress import Say
from api.backup.restore import Known
from api.backup.source import Source
from api.backup.store import Store
from api.backup.take import take
from api.cli.installation import Installation
from api.db.offline import WAIT_S
from api.storage.target import open_target
from configs import postgres_cluster
from configs.datadir import Layout
from configs.errors import BadRequest, ConfigurationError
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres


class Restorable:
    """One place with backups. `place` and `master_keys` are what the installation says where they are None."""

    def __init__(self, installation: Installation, place: str | None, master_keys: Path | None, say: Say) -> None:
        self._installation = installation
        self._say = say
        self._store = Store(open_target(_place(installation, place)), _keys(installation, master_keys))
        self._store.keys.look()  # a missing keyring is said before anything is started
        self.place = self._store.target.place

    def take(self, keep: int | None) -> dict[str, Any]:
        """Take one, and remove all but the newest `keep`; its row."""
        with _reached(self._installation) as source:
            return row(take(self._store, source, keep=keep, say=self._say))

    def all(self) -> list[dict[str, Any]]:
        """A row for each, oldest first."""
        return [row(backup) for backup in self._store.all()]

    def restore(
        self,
        data_dir: Path,
        backup_id: str | None,
        at: datetime | None,
        master_keys: Path | None,
        known: Known,
    ) -> dict[str, Any]:
        """Make a new installation of one; its row, and what followed."""
        layout = Layout(data_dir)
        restore.refuse_used(layout.data_dir)
        chosen = restore.choose(self._store, backup_id, at)
        url = self._installation.catalog.settings.database_url
        own = self._installation.catalog.configuration.audit.anchor_file
        with layout.hold(command="manta db restore"):
            if known.anchors is not None and own is None:
                shutil.copy(known.anchors, layout.data_dir / anchors.FILE)
            known = Known(known.erasures, own)
            if master_keys is not None:
                restore.put_master_keys(master_keys, layout)
            if url is not None:
                done = restore.restore_into(self._store, chosen, layout, url.get_secret_value(), self._say, known)
            else:
                done = restore.restore(self._store, chosen, layout, until=at or "end", say=self._say, known=known)
        return row(chosen) | {
            "data_dir": str(layout.data_dir),
            "erased_again": done.erased,
            "vouched": {head.organization_id: head.seq for head in done.vouched},
            "audit_faults": done.faults,
        }

    def verify(self, backup_id: str | None, scratch: Path | None) -> dict[str, Any]:
        """Prove one; what was found, with `ok`."""
        verdict = drill.verify(self._store, self._store.manifest(backup_id), scratch, self._say)
        return asdict(verdict) | {"ok": verdict.ok}


def row(backup: Manifest) -> dict[str, Any]:
    """A backup as listings show it; `size` in bytes."""
    return {
        "id": backup.id,
        "kind": backup.kind,
        "started_at": backup.started_at.isoformat(timespec="seconds"),
        "finished_at": backup.finished_at.isoformat(timespec="seconds"),
        "size": backup.size,
        "schema": backup.revision,
        "log": backup.wal.archive if backup.wal else None,
        "rows": sum(count.rows for count in backup.rows.values()),
    }


@contextmanager
def _reached(installation: Installation) -> Iterator[Source]:
    """The installation, its database answering; the embedded one is started for a moment when nothing runs."""
    layout, url = installation.layout, installation.catalog.settings.database_url
    runs = installation.running() is not None
    held = nullcontext() if runs else layout.hold(command="manta db backup", wait_s=WAIT_S)
    if url is None and not runs and not postgres_cluster.path(layout).exists():
        raise ConfigurationError(
            f"there is no database in {layout.data_dir} yet: `manta serve` makes one, or DATABASE_URL names one"
        )
    with held, nullcontext() if runs or url is not None else EmbeddedPostgres(layout):
        yield Source(layout, url.get_secret_value() if url is not None else None)


def _place(installation: Installation, given: str | None) -> str:
    place = given or installation.catalog.configuration.backup.to
    if place is None:
        raise BadRequest("say where: --to or --from with a folder or s3://BUCKET/PREFIX, or `backup.to` in the YAML")
    return place


def _keys(installation: Installation, given: Path | None) -> Keyring:
    settings = installation.catalog.settings
    if given is None and settings.manta_master_key_command:
        return Keyring.of_command(settings.manta_master_key_command)
    return Keyring.at(given or settings.manta_master_key_file or installation.layout.master_keys)
