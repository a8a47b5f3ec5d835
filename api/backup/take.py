"""Taking a backup: the database, then the files, then the secrets, and the manifest at last.

The database comes first: a file is there before the row that names it, so that every row finds its file.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import orjson

from api.backup import erasures
from api.backup.archive import archive_of
from api.backup.manifest import (
    BASE,
    BASE_MANIFEST,
    ERASURES,
    FILES,
    PROOFS,
    SECRETS,
    TABLE,
    Count,
    Manifest,
    Part,
    Wal,
    new_id,
)
from api.backup.progress import Say, silent, told
from api.backup.proofs import Proofs
from api.backup.retention import prune
from api.backup.source import Source
from api.backup.store import Store
from api.backup.tree import collect, newest_listing
from api.db import proofs, survey
from api.db.copying import Reading
from api.db.replication import Replication
from api.db.survey import Survey
from api.privacy import ledger
from configs.datadir import Layout

NEVER = ("master_keys", "ray_token")
"""Secrets that no backup holds: the key to it, and what every start makes anew."""


def take(store: Store, source: Source, *, keep: int | None = None, say: Say = silent) -> Manifest:
    """Take a backup, and remove those above `keep` (None: none). The embedded server runs.

    Raises:
        Conflict: another one is being taken.
        MantaError: the database, the target or the keyring refuse; then no backup was made.
    """
    with source.alone():
        started_at = datetime.now(UTC)
        backup_id = new_id(started_at)
        say(f"backup {backup_id} to {store.target.place}")
        key = store.keys.active.id
        database = (
            _base(store, source, backup_id, say) if source.url is None else _logical(store, source, backup_id, say)
        )
        streams: dict[str, tuple[Part, ...]] = database.pop("streams")
        erased = ledger.merged(ledger.entries(source.layout.data_dir), database.pop("erased"))
        streams[ERASURES] = store.send(backup_id, ERASURES, [ledger.text(erased)])
        streams[PROOFS] = store.send(backup_id, PROOFS, [database.pop("proofs").text()])
        erasures.remember(store, erased, say)
        listing = collect(source.layout.data_dir, store, newest_listing(store), say)
        streams[FILES] = store.send(backup_id, FILES, [listing.text()])
        streams[SECRETS] = store.send(backup_id, SECRETS, [orjson.dumps(secrets_of(source.layout))])
        backup = Manifest(
            id=backup_id,
            started_at=started_at,
            finished_at=datetime.now(UTC),
            version=version("manta"),
            streams=streams,
            key=key,
            **database,
        )
        store.finish(backup)
        say(f"backup {backup_id} is complete")
        if keep is not None:
            prune(store, keep, say)
    return backup


def secrets_of(layout: Layout) -> dict[str, str]:
    """Passwords and signing keys by name, without the master keys; a restored installation has the same ones."""
    return {
        path.name: path.read_text("utf-8")
        for path in sorted(layout.secrets.iterdir() if layout.secrets.is_dir() else [])
        if path.is_file() and path.suffix != ".json" and not path.name.startswith((".", *NEVER))
    }


def _base(store: Store, source: Source, backup_id: str, say: Say) -> dict[str, Any]:
    """The cluster's files with the log that makes them consistent; rows are counted meanwhile."""
    server = source.server
    root_url, url = server.root_url, server.backup_url
    before, noted = survey.churn(root_url), proofs.notes(root_url)
    with ThreadPoolExecutor(1) as beside, Replication(url) as holder, Replication(url) as replication:
        counted = beside.submit(survey.survey, root_url)
        holder.make_slot(f"manta_base_{backup_id[-8:]}", temporary=True)  # until the end, no log it needs is recycled
        base = replication.base_backup(f"manta {backup_id}")
        streams = {BASE: store.send(backup_id, BASE, told(base, say, "database"))}
        streams[BASE_MANIFEST] = store.send(backup_id, BASE_MANIFEST, [base.manifest])
        found = counted.result()
    last = proofs.notes(root_url)
    return {
        "kind": "base",
        "streams": streams,
        "wal": Wal(timeline=base.timeline, start=base.start, end=base.end, archive=archive_of(root_url)),
        "revision": found.revision,
        "server": found.server,
        "rows": _counts(found, before, survey.churn(root_url)),
        "proofs": Proofs.between(noted, last),
        "erased": last.erased,
    }


def _counts(found: Survey, before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> dict[str, Count]:
    def grown(table: str, place: int) -> int:
        return max(0, after.get(table, (0, 0))[place] - before.get(table, (0, 0))[place])

    return {name: Count(rows=rows, added=grown(name, 0), removed=grown(name, 1)) for name, rows in found.rows.items()}


def _logical(store: Store, source: Source, backup_id: str, say: Say) -> dict[str, Any]:
    """Table by table, all as of one moment."""
    assert source.url is not None
    streams = {}
    with survey.connected(source.url) as connection:
        reading = Reading(connection)
        for table in reading.tables:
            streams[TABLE + table] = store.send(backup_id, TABLE + table, reading.rows_of(table))
        noted = proofs.noted(connection)
    say(f"database: {sum(reading.rows.values()):,} rows of {len(reading.tables)} tables")
    return {
        "kind": "logical",
        "streams": streams,
        "revision": reading.revision,
        "server": reading.server,
        "rows": {table: Count(rows=rows) for table, rows in reading.rows.items()},
        "proofs": Proofs.of(noted),
        "erased": noted.erased,
    }
