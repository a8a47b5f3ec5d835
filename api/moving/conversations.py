"""One conversation of the other program as rows, in one unit of work."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from api.conversations import MAX_MESSAGES, sealed
from api.db import imports
from api.db.imports import Branches, Origin
from api.db.session import Unit
from api.ids import new_id
from api.imports.records import ImportedConversation, ImportedMessage, Unfit
from api.moving.report import Report
from api.vault.keys import DataKey, Owner
from api.vault.vault import Vault

KIND, MESSAGE = "conversation", "message"
EMPTY = Branches(frozenset(), {}, 0)


@dataclass
class Place:
    """Where messages are added: a conversation here, what it has, and what of the file stands in it already."""

    conversation_id: str
    user_id: str
    key: DataKey
    has: Branches = EMPTY
    moved: dict[str, str] = field(default_factory=dict)
    """Ids of messages here, by their ids there."""


class Conversations:
    """Writes conversations of one program for one organization."""

    def __init__(self, origin: Origin, vault: Vault, report: Report) -> None:
        self._origin = origin
        self._vault = vault
        self._report = report

    async def take(self, session: Unit, conversation: ImportedConversation, user_id: str) -> None:
        """Add the conversation, or what it has more than at the last time.

        Raises:
            Unfit: it was moved before and deleted here since.
        """
        before = await imports.known(session, self._origin, KIND, [conversation.external_id])
        if conversation.external_id in before:
            await self._extend(session, conversation, before[conversation.external_id])
        else:
            await self._add(session, conversation, user_id)

    async def _add(self, session: Unit, conversation: ImportedConversation, user_id: str) -> None:
        conversation_id = new_id("conv")
        if not self._report.dry_run:
            if not await imports.remember(session, self._origin, KIND, conversation.external_id, conversation_id):
                raise Unfit("another import is just moving it")
            await self._write_new(session, conversation, conversation_id, user_id)
        self._report.conversations_added += 1
        self._report.messages_added += len(conversation.messages)

    async def _write_new(
        self, session: Unit, conversation: ImportedConversation, conversation_id: str, user_id: str
    ) -> None:
        key = await self._vault.key_for(session, Owner("user", user_id, self._origin.organization_id))
        created_at = conversation.created_at or datetime.now(UTC)
        place = Place(conversation_id, user_id, key)
        for message in conversation.messages:
            place.moved[message.external_id] = new_id("msg")
        await imports.add_conversation(
            session,
            {
                "id": conversation_id,
                "organization_id": self._origin.organization_id,
                "user_id": user_id,
                "data_key_id": key.id,
                "title": self._sealed(key, "conversations", conversation_id, "title", conversation.title),
                "current_message_id": place.moved[conversation.current_message_external_id],
                "archived": conversation.archived,
                "created_at": created_at,
                "updated_at": max(conversation.updated_at or created_at, created_at),
            },
        )
        await self._write(session, conversation, conversation.messages, place)

    async def _extend(self, session: Unit, conversation: ImportedConversation, conversation_id: str) -> None:
        here = await imports.conversation(session, conversation_id)
        if here is None:
            raise Unfit("it was moved before, and deleted here since")
        names = {_name(conversation, message): message for message in conversation.messages}
        known = await imports.known(session, self._origin, MESSAGE, list(names))
        fresh = [message for name, message in names.items() if name not in known]
        if not fresh:
            self._report.conversations_unchanged += 1
            return
        if not self._report.dry_run:
            place = Place(conversation_id, here.user_id, await self._vault.key(session, here.data_key_id))
            place.has = await imports.branches(session, conversation_id)
            if len(place.has.ids) + len(fresh) > MAX_MESSAGES:
                raise Unfit(f"with what was added here it has more than {MAX_MESSAGES:,} messages")
            place.moved = {names[name].external_id: row_id for name, row_id in known.items() if row_id in place.has.ids}
            was_shown = here.current_message_id is None or here.current_message_id in place.moved.values()
            place.moved |= {message.external_id: new_id("msg") for message in fresh}
            await self._write(session, conversation, fresh, place)
            shown = place.moved.get(conversation.current_message_external_id) if was_shown else None
            await imports.extend(session, conversation_id, shown, conversation.updated_at)
        self._report.conversations_extended += 1
        self._report.messages_added += len(fresh)

    async def _write(
        self, session: Unit, conversation: ImportedConversation, fresh: Sequence[ImportedMessage], place: Place
    ) -> None:
        rows = list(self._rows(conversation, fresh, place))
        await imports.add_messages(session, rows)
        moved = {_name(conversation, message): place.moved[message.external_id] for message in fresh}
        await imports.remember_all(session, self._origin, MESSAGE, moved)

    def _rows(
        self, conversation: ImportedConversation, fresh: Sequence[ImportedMessage], place: Place
    ) -> Iterator[Mapping[str, Any]]:
        answers = dict(place.has.answers)
        parents = _parents(conversation)
        begun = conversation.created_at or datetime.now(UTC)
        for seq, message in enumerate(fresh, start=place.has.last_seq + 1):
            row_id, parent = place.moved[message.external_id], _nearest(message, parents, place)
            branch = answers.get(parent, 0)
            answers[parent] = branch + 1
            yield {
                "id": row_id,
                "organization_id": self._origin.organization_id,
                "conversation_id": place.conversation_id,
                "parent_id": parent,
                "seq": seq,
                "branch": branch,
                "role": message.role,
                "model": message.model,
                "author_id": place.user_id,
                "data_key_id": place.key.id,
                "content": self._sealed(place.key, "messages", row_id, "content", content_of(message)),
                "created_at": message.created_at or begun,
            }

    def _sealed(self, key: DataKey, table: str, row_id: str, column: str, value: Any) -> bytes:  # noqa: ANN401  JSON
        return sealed(key, table, row_id, column, self._origin.organization_id, value)


def content_of(message: ImportedMessage) -> dict[str, Any]:
    """A message's content as `api.conversations` keeps it: one text as it is, several as OpenAI writes parts."""
    texts = message.content
    parts = [{"type": "text", "text": text} for text in texts]
    content = {"content": "".join(texts) if len(texts) < 2 else parts}  # noqa: PLR2004
    return {**content, "metadata": dict(message.extra)} if message.extra else content


def _name(conversation: ImportedConversation, message: ImportedMessage) -> str:
    """A message's id for the record; ids hold no line break, so no two have the same."""
    return f"{conversation.external_id}\n{message.external_id}"


def _parents(conversation: ImportedConversation) -> dict[str, str | None]:
    return {message.external_id: message.parent_external_id for message in conversation.messages}


def _nearest(message: ImportedMessage, parents: Mapping[str, str | None], place: Place) -> str | None:
    """The message here that it follows: its parent, or the nearest one above that was not deleted here."""
    above = message.parent_external_id
    while above is not None and above not in place.moved:
        above = parents[above]
    return place.moved[above] if above is not None else None
