"""Compare the chains in the database with themselves and with their anchors. It changes nothing."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.audit import anchors
from api.audit.anchors import Anchor, Anchored
from api.audit.chain import Fault, Walk
from api.db import audit as audit_queries
from api.db.session import Database, Unit
from configs import files, secretfiles

PAGE = 2000


@dataclass
class Report:
    """What was looked at, and every trace."""

    chains: int = 0
    entries: int = 0
    anchors: int = 0
    faults: list[Fault] = field(default_factory=list)
    restored: list[Anchor] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "ok": not self.faults,
            "chains": self.chains,
            "entries": self.entries,
            "anchors": self.anchors,
            "faults": [fault.as_json() for fault in self.faults],
            "restored": [{"organization_id": each.organization_id, "seq": each.seq, "at": each.at}
                         for each in self.restored],
        }  # fmt: skip


def anchored(paths: list[Path], secrets: Path) -> Anchored:
    """What is anchored in these files. Read it before the database, so that no anchor is newer than what it is about.

    Raises:
        ConfigurationError: a file or the key cannot be read.
    """
    key = secrets / anchors.KEY
    with files.disk_faults(secrets):
        return anchors.read(paths, secretfiles.read(key) if key.exists() else None)


async def check(database: Database, known: Anchored, organization_id: str | None = None) -> Report:
    """Walk every chain, or one, as they are at one moment; `database` is one of the role `manta_audit`.

    Raises:
        Unavailable: the database is away.
    """
    report = Report(faults=list(known.faults), restored=list(known.restored))
    async with database.snapshot() as unit:
        heads = {head.organization_id: head for head in await audit_queries.heads(unit)}
        chains = {*heads, *known.hashes, *await audit_queries.organizations(unit)}
        for name in sorted(chains if organization_id is None else chains & {organization_id}):
            hashes = known.hashes.get(name, {})
            walk = Walk(name, heads.get(name), hashes)
            report.entries += await _walked(unit, name, walk)
            report.faults += walk.end()
            report.chains += 1
            report.anchors += len(hashes)
    return report


async def _walked(unit: Unit, organization_id: str, walk: Walk) -> int:
    count, after = 0, None
    while entries := await audit_queries.entries(unit, organization_id, after=after, limit=PAGE):
        for entry in entries:
            walk.step(entry)
        count, after = count + len(entries), entries[-1].seq
    return count
