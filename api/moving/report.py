"""What a run did, and what it left out and why."""

from dataclasses import dataclass, field
from typing import Any

from api.imports.records import Skipped

MOST_IDS = 100
"""Ids that are listed for one reason; all are counted."""


@dataclass
class Group:
    """Things that were left out for the same reason."""

    count: int = 0
    ids: list[str] = field(default_factory=list)


@dataclass
class Report:
    """Counts of one run. In a dry run they tell what would be done."""

    source: str
    dry_run: bool
    users_added: int = 0
    users_unchanged: int = 0
    conversations_added: int = 0
    conversations_extended: int = 0
    conversations_unchanged: int = 0
    messages_added: int = 0
    skipped: dict[tuple[str, str], Group] = field(default_factory=dict)

    def skip(self, record: Skipped) -> None:
        """Note something that was left out or mended."""
        group = self.skipped.setdefault((record.what, record.why), Group())
        group.count += 1
        if len(group.ids) < MOST_IDS:
            group.ids.append(record.external_id)

    def counts(self) -> dict[str, int]:
        """What was added and what was there."""
        return {
            "users_added": self.users_added,
            "users_unchanged": self.users_unchanged,
            "conversations_added": self.conversations_added,
            "conversations_extended": self.conversations_extended,
            "conversations_unchanged": self.conversations_unchanged,
            "messages_added": self.messages_added,
        }

    def as_json(self) -> dict[str, Any]:
        """All of it; ids up to `MOST_IDS` for each reason."""
        skipped = [
            {"what": what, "why": why, "count": group.count, "ids": group.ids}
            for (what, why), group in sorted(self.skipped.items())
        ]
        return {"source": self.source, "dry_run": self.dry_run, **self.counts(), "skipped": skipped}
