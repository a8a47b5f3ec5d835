"""Vouch for a database that was restored from a backup: its chains end before their last anchors, and rightly so."""

from pathlib import Path

from api.audit import anchors
from api.audit.anchoring import KEY_BYTES
from api.audit.chain import Head
from api.audit.record import record
from api.db import audit as audit_queries
from api.db.offline import OfflineDatabase
from api.db.session import Database
from api.scope import Scope
from configs import files, secretfiles


def vouch(database: OfflineDatabase, path: Path, secrets: Path) -> list[Head]:
    """Anchor the chains as they are, log it in each, and let newer anchors end; the heads that count from now on.

    Raises:
        ConfigurationError: the file of anchors or its key cannot be used, or the database has another schema.
        Unavailable: the database is away.
    """
    heads = database.audited(_heads)
    with files.disk_faults(path):
        key = secretfiles.read_or_make(secrets, anchors.KEY, KEY_BYTES)
        anchors.append(path, anchors.anchors_of(heads, "restored"), key)
    for head in heads:
        _log(database, head)
    return heads


async def _heads(database: Database) -> list[Head]:
    async with database.snapshot() as unit:
        return await audit_queries.heads(unit)


def _log(database: OfflineDatabase, head: Head) -> None:
    database.unit(
        lambda unit: record(unit, None, "database.restored", organization_id=head.organization_id, seq=head.seq),
        Scope(head.organization_id),
    )
