"""What follows when the rows are back, before anybody may look: the audit log is vouched for, and whoever was erased
since is erased again. It does not know how the rows came back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from api.audit import checking, restoring
from api.audit.chain import Head
from api.backup.progress import Say
from api.db import schema
from api.db.offline import OfflineDatabase
from api.privacy import ledger
from api.privacy.erase import replay_into
from api.privacy.ledger import Entry


@dataclass(frozen=True)
class Aftermath:
    """What was done."""

    erased: int = 0
    """People who were erased since the backup, and are again."""
    vouched: list[Head] = field(default_factory=list)
    """Ends of audit chains after which anchors count no more."""
    faults: int = 0
    """Of the audit log against its anchors, which a backup does not explain."""


def settle(database: OfflineDatabase, anchors: Path, erased: Sequence[Entry], say: Say) -> Aftermath:
    """Do what follows. The chains come first: what is erased again is logged behind the ends that are vouched for.

    Raises:
        MantaError: something cannot be done; then the restore fails too.
    """
    if not erased and not anchors.exists():
        return Aftermath()
    secrets = database.layout.secrets
    with database.reached() as urls:
        before, after = schema.upgrade(urls.owner_url)
        if before != after:
            say(f"schema {before} -> {after}")
        heads = restoring.vouch_if_behind(database, anchors, secrets)
        for head in heads:
            say(f"audit log of {head.organization_id}: anchors after entry {head.seq} count no more")
        count = replay_into(urls.jobs_url, erased) if erased else 0
        say(f"erased again: {count} of {len(erased)} who were ever erased")
        known = checking.anchored([anchors] if anchors.exists() else [], secrets)
        faults = database.audited(lambda opened: checking.check(opened, known)).faults if known.hashes else known.faults
    if faults:
        say(f"the audit log has {len(faults)} faults that no backup explains: `manta audit verify` names them")
    ledger.write(database.layout.data_dir, erased)
    return Aftermath(count, heads, len(faults))
