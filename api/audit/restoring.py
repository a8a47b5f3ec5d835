"""Vouch for a database that was restored from a backup: its chains end before their last anchors, and rightly so."""

from collections.abc import Sequence
from pathlib import Path

from api.audit import anchors, checking
from api.audit.anchoring import KEY_BYTES
from api.audit.anchors import Anchored
from api.audit.chain import Head, beginning
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
    return _vouch(database, path, secrets, database.audited(_heads))


def vouch_if_behind(database: OfflineDatabase, path: Path, secrets: Path) -> list[Head]:
    """`vouch` for those chains that end before an anchor, or elsewhere than at it; none when all are as anchored.

    A chain that was begun after the backup was made ends at 0. Errors as `vouch`.
    """
    known = checking.anchored([path] if path.exists() else [], secrets)
    heads = _behind(known, database.audited(_heads))
    return _vouch(database, path, secrets, heads) if heads else []


def _behind(known: Anchored, heads: Sequence[Head]) -> list[Head]:
    ends = {head.organization_id: head for head in heads}
    found = []
    for name, hashes in sorted(known.hashes.items()):
        head = ends.get(name, Head(name, 0, beginning(name)))
        if max(hashes) > head.seq or hashes.get(head.seq, head.hash) != head.hash:
            found.append(head)
    return found


def _vouch(database: OfflineDatabase, path: Path, secrets: Path, heads: list[Head]) -> list[Head]:
    with files.disk_faults(path):
        key = secretfiles.read_or_make(secrets, anchors.KEY, KEY_BYTES)
        anchors.append(path, anchors.anchors_of(heads, "restored"), key)
    for head in heads:
        if head.seq:  # else there is no such organization
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
