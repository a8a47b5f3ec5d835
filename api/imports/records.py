"""What comes out of a foreign file, whichever program wrote it. It does not know where it will be kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ROLES = frozenset({"system", "user", "assistant", "tool"})


class Unfit(Exception):
    """One thing of the file cannot be taken; `why` is the reason that the report gives."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """A person of the other program. `password_hash` is bcrypt, or None when the person must set a new password."""

    external_id: str
    email: str
    name: str
    password_hash: str | None
    role: str
    """The other program's own word for it."""
    active: bool
    """False when the person was locked out there."""
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """A message. Its parent, if it has one, comes before it in the conversation."""

    external_id: str
    parent_external_id: str | None
    role: str
    """One of `ROLES`."""
    content: tuple[str, ...]
    """Its texts, part by part as the other program kept them; none when only attachments stood there."""
    model: str | None
    created_at: datetime | None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportedConversation:
    """A tree of messages. `owner_external_id` is None where the file does not say whose it is."""

    external_id: str
    owner_external_id: str | None
    title: str
    created_at: datetime | None
    updated_at: datetime | None
    archived: bool
    messages: tuple[ImportedMessage, ...]
    """Never empty; parents before their children, otherwise by time."""
    current_message_external_id: str
    """The end of the branch that was shown last."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was left out or mended, and why. `external_id` is printable."""

    what: str
    external_id: str
    why: str


Record = ImportedUser | ImportedConversation | Skipped


@dataclass(frozen=True, slots=True)
class Export:
    """A file that was opened. `records` is read once; people come before conversations."""

    source: str
    names_people: bool
    """Whether it says whose each conversation is."""
    records: Iterator[Record]
