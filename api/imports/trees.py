"""Messages of a foreign file as a tree that can be kept: without circles, parents first, no text lost on the way.

A link that leads nowhere or round in a circle is cut, and its message begins a branch of its own. A message that is not
kept hands its place to its parent: what answered it answers that one.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from api.imports import fields
from api.imports.records import ImportedConversation, ImportedMessage, Skipped, Unfit

MOST_MESSAGES = 10_000
"""Of one conversation: as many as `api.conversations` lets one have."""
EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as the file has it. One with `dropped` holds only its place; an empty reason is not worth a line."""

    external_id: str
    parent_external_id: str | None
    role: str = ""
    content: tuple[str, ...] = ()
    model: str | None = None
    created_at: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    dropped: str | None = None
    without: tuple[str, ...] = ()
    """Reasons for parts that are left out: images, files."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A conversation but for its messages."""

    external_id: str
    owner_external_id: str | None
    title: str
    created_at: datetime | None
    updated_at: datetime | None
    archived: bool
    current: str | None


def grown(frame: Frame, drafts: Iterable[Draft]) -> tuple[ImportedConversation, list[Skipped]]:
    """The conversation, and what was left out or mended in it.

    Raises:
        Unfit: no message can be kept, or there are too many.
    """
    tree = _Tree(frame, drafts)
    messages = tree.messages()
    if not messages:
        raise Unfit("it has no messages that can be kept")
    times = [message.created_at for message in messages if message.created_at]
    conversation = ImportedConversation(
        external_id=frame.external_id,
        owner_external_id=frame.owner_external_id,
        title=frame.title,
        created_at=frame.created_at or min(times, default=None),
        updated_at=frame.updated_at or max(times, default=None),
        archived=frame.archived,
        messages=messages,
        current_message_external_id=tree.kept_at(frame.current) or messages[-1].external_id,
    )
    return conversation, tree.notes


class _Tree:
    """The drafts by id, their links, and what had to be done to them."""

    def __init__(self, frame: Frame, drafts: Iterable[Draft]) -> None:
        self._frame = frame
        self.notes: list[Skipped] = []
        self._drafts: dict[str, Draft] = {}
        for draft in drafts:
            self._take(draft)
        self._parents = {draft.external_id: self._parent(draft) for draft in self._drafts.values()}
        self._cut_circles()
        self._kept_at: dict[str, str | None] = {}

    def messages(self) -> tuple[ImportedMessage, ...]:
        """Those that are kept: parents before children, otherwise by time, otherwise as the file has them."""
        children: dict[str | None, list[tuple[int, str]]] = defaultdict(list)
        for position, (child, parent) in enumerate(self._parents.items()):
            children[parent].append((position, child))
        begun = self._frame.created_at or EPOCH
        ready = [(self._drafts[child].created_at or begun, position, child) for position, child in children[None]]
        heapq.heapify(ready)
        made: list[ImportedMessage] = []
        while ready:
            time, _, external_id = heapq.heappop(ready)
            self._place(external_id, time if time != EPOCH else None, made)
            for position, child in children[external_id]:
                heapq.heappush(ready, (self._drafts[child].created_at or time, position, child))
        return tuple(made)

    def kept_at(self, external_id: str | None) -> str | None:
        """The message itself, or the nearest one above it that is kept."""
        return self._kept_at.get(external_id) if external_id is not None else None

    def _place(self, external_id: str, time: datetime | None, made: list[ImportedMessage]) -> None:
        draft, parent = self._drafts[external_id], self.kept_at(self._parents[external_id])
        for why in draft.without:
            self._note("attachment", external_id, why)
        if draft.dropped is not None:
            self._kept_at[external_id] = parent
            if draft.dropped:
                self._note("message", external_id, draft.dropped)
            return
        self._kept_at[external_id] = external_id
        made.append(
            ImportedMessage(
                external_id, parent, draft.role, self._cleaned(draft), fields.name(draft.model), time, draft.extra
            )
        )

    def _cleaned(self, draft: Draft) -> tuple[str, ...]:
        pairs = [fields.cleaned(text) for text in draft.content]
        if count := sum(replaced for _, replaced in pairs):
            why = f"{count} that are no text (NUL, half of a surrogate pair) stand as U+FFFD"
            self._note("characters", draft.external_id, why)
        return tuple(text for text, _ in pairs)

    def _take(self, draft: Draft) -> None:
        if draft.external_id in self._drafts:
            self._note("message", draft.external_id, "another one of its conversation has the same id")
            return
        if len(self._drafts) == MOST_MESSAGES:
            raise Unfit(f"it has more than {MOST_MESSAGES:,} messages")
        self._drafts[draft.external_id] = draft

    def _parent(self, draft: Draft) -> str | None:
        parent = draft.parent_external_id
        if parent is None or parent in self._drafts:
            return parent
        self._note("link", draft.external_id, "the message before it is not in the file; it begins a branch")
        return None

    def _cut_circles(self) -> None:
        seen: set[str] = set()
        for start in self._parents:
            path: dict[str, None] = {}
            at: str | None = start
            while at is not None and at not in seen and at not in path:
                path[at] = None
                at = self._parents[at]
            if at in path:
                last = next(reversed(path))
                self._parents[last] = None
                self._note("link", last, "the messages before it go round in a circle; it begins a branch")
            seen.update(path)

    def _note(self, what: str, external_id: str, why: str) -> None:
        self.notes.append(Skipped(what, f"{self._frame.external_id}/{external_id}", why))
