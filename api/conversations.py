"""Conversations as their people see them: opened on the way out, sealed on the way in.

A private one is sealed with its person's key, a shared one with the team's: sharing seals everything anew. It knows
neither HTTP nor who may do what; row level security has hidden what the unit of work may not see.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from api.db import conversations as queries
from api.db.conversations import Sealed
from api.db.session import Unit
from api.db.tables import Conversation, Message
from api.ids import new_id
from api.scope import Scope
from api.vault.keys import DataKey, Owner
from api.vault.vault import Vault
from configs.errors import BadRequest, Conflict, NotFound, Unreadable
from configs.seal import aad_of, open_sealed, seal

log = logging.getLogger(__name__)

MAX_MESSAGES = 10_000
"""Of one conversation: it is sealed anew in one transaction when it is shared."""
BATCH = 1000
"""Messages that are sealed anew at a time."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to store; `content` is any JSON, `parent_id` None begins the conversation anew."""

    role: str
    content: dict[str, Any]
    parent_id: str | None
    author_id: str
    model: str | None = None


class Conversations:
    """What routes and importers call, each inside their unit of work."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def create(
        self, unit: Unit, scope: Scope, title: str, *, team_id: str | None = None, project_id: str | None = None
    ) -> Conversation:
        """A new one of the person in `scope`."""
        key = await self._vault.key_for(unit, owner_of(scope, team_id))
        row_id = new_id("conv")
        row = Conversation(
            id=row_id,
            organization_id=scope.organization_id,
            user_id=scope.user_id,
            team_id=team_id,
            project_id=project_id,
            data_key_id=key.id,
            title=sealed(key, "conversations", row_id, "title", scope.organization_id, title),
        )
        await queries.add(unit, row)
        return row

    async def add(self, unit: Unit, conversation: Conversation, new: NewMessage) -> Message:
        """A message below its parent; the conversation is locked by the caller, and stands at it afterwards.

        Raises:
            NotFound: the parent is not in this conversation.
            Conflict: it has too many messages.
        """
        if new.parent_id is not None and await queries.message(unit, conversation.id, new.parent_id) is None:
            raise NotFound("There is no such message.", param="parent_id")
        seq, branch = await queries.next_place(unit, conversation.id, new.parent_id)
        if seq > MAX_MESSAGES:
            raise Conflict(f"A conversation holds at most {MAX_MESSAGES} messages: begin another one.")
        scope = Scope(conversation.organization_id, conversation.user_id)
        key = await self._vault.key_for(unit, owner_of(scope, conversation.team_id))
        row_id = new_id("msg")
        row = Message(
            id=row_id,
            organization_id=conversation.organization_id,
            conversation_id=conversation.id,
            parent_id=new.parent_id,
            seq=seq,
            branch=branch,
            role=new.role,
            model=new.model,
            author_id=new.author_id,
            data_key_id=key.id,
            content=sealed(key, "messages", row_id, "content", conversation.organization_id, new.content),
        )
        await queries.add_messages(unit, [row])
        await queries.change(unit, conversation.id, current_message_id=row_id)
        return row

    async def retitle(self, unit: Unit, row: Conversation, title: str) -> bytes:
        """The sealed form of another title."""
        key = await self._vault.key(unit, row.data_key_id)
        return sealed(key, "conversations", row.id, "title", row.organization_id, title)

    async def rewrite(self, unit: Unit, row: Message, content: dict[str, Any], author_id: str) -> Message:
        """Store other content of a message, which is its author's from now on."""
        key = await self._vault.key(unit, row.data_key_id)
        value = sealed(key, "messages", row.id, "content", row.organization_id, content)
        return await queries.change_message(unit, row.id, content=value, author_id=author_id)

    async def share(self, unit: Unit, row: Conversation, team_id: str | None) -> None:
        """Seal everything for another owner: a team, or its person again."""
        key = await self._vault.key_for(unit, owner_of(Scope(row.organization_id, row.user_id), team_id))
        title = await self._opened(unit, "conversations", row.id, "title", row)
        seq = 0
        while batch := await queries.sealed_messages(unit, row.id, seq, BATCH):
            keys = {each: await self._vault.key(unit, each) for each in _needed(batch)}
            contents = await asyncio.to_thread(_resealed, row.organization_id, batch, keys, key)
            await queries.reseal(unit, row.id, key.id, contents)
            seq = batch[-1].seq
        value = sealed(key, "conversations", row.id, "title", row.organization_id, title)
        moved = {"title": value, "data_key_id": key.id, "team_id": team_id, "updated_at": row.updated_at}
        await queries.change(unit, row.id, **moved)

    async def listed(self, unit: Unit, row: Conversation) -> dict[str, Any]:
        """A conversation among others: one that does not open has no title and says so, and the others are told."""
        try:
            return await self.told(unit, row)
        except Unreadable as error:
            log.warning("the conversation %s cannot be read: %s", row.id, error.message)
            return {**_places(row), "title": None, "unreadable": True}

    async def message_listed(self, unit: Unit, row: Message) -> dict[str, Any]:
        """A message among others, as `listed`."""
        try:
            return await self.message_told(unit, row)
        except Unreadable as error:
            log.warning("the message %s cannot be read: %s", row.id, error.message)
            return {**_node(row), "content": None, "unreadable": True}

    async def told(self, unit: Unit, row: Conversation) -> dict[str, Any]:
        """A conversation, opened.

        Raises:
            Unreadable: its key is gone or is somebody else's, or the row was changed.
        """
        return {**_places(row), "title": await self._opened(unit, "conversations", row.id, "title", row)}

    async def message_told(self, unit: Unit, row: Message) -> dict[str, Any]:
        """A message, opened; an erased person's has no content and says so. Errors as `told`."""
        if row.content is None:
            return {**_node(row), "content": None, "erased": True}
        return {**await self._opened(unit, "messages", row.id, "content", row), **_node(row)}

    async def _opened(self, unit: Unit, table: str, row_id: str, column: str, row: Conversation | Message) -> Any:  # noqa: ANN401
        key = await self._vault.key(unit, row.data_key_id)
        value: bytes = getattr(row, column)
        return orjson.loads(open_sealed(key.key, value, aad_of(table, row_id, column, row.organization_id)))


def _places(row: Conversation) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "conversation",
        "user_id": row.user_id,
        "team_id": row.team_id,
        "project_id": row.project_id,
        "current_message_id": row.current_message_id,
        "archived": row.archived,
        "version": row.version,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


def _node(row: Message) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "message",
        "conversation_id": row.conversation_id,
        "parent_id": row.parent_id,
        "branch": row.branch,
        "version": row.version,
        "role": row.role,
        "model": row.model,
        "author_id": row.author_id,
        "created_at": row.created_at.isoformat(),
    }


def _needed(batch: Sequence[Sealed]) -> set[str]:
    return {message.data_key_id for message in batch if message.content is not None}


def _resealed(
    organization_id: str, batch: Sequence[Sealed], keys: Mapping[str, DataKey], to: DataKey
) -> dict[str, bytes | None]:
    """Contents under another key, by message; what is empty stays so."""
    made: dict[str, bytes | None] = {}
    for each in batch:
        if each.content is None:
            made[each.id] = None
            continue
        aad = aad_of("messages", each.id, "content", organization_id)
        made[each.id] = seal(to.key, open_sealed(keys[each.data_key_id].key, each.content, aad), aad)
    return made


def owner_of(scope: Scope, team_id: str | None) -> Owner:
    """Whose key seals it: the team's where it is shared, else the person's."""
    if team_id is not None:
        return Owner("team", team_id, scope.organization_id)
    return Owner("user", scope.user_id, scope.organization_id)


def sealed(key: DataKey, table: str, row_id: str, column: str, organization_id: str, value: Any) -> bytes:  # noqa: ANN401
    """JSON, sealed to its place."""
    return seal(key.key, orjson.dumps(value), aad_of(table, row_id, column, organization_id))


def check_version(row: Conversation | Message, version: int | None) -> None:
    """Let a change pass that knows what it changes.

    Raises:
        Conflict: the row moved on since it was read.
    """
    if version is not None and row.version != version:
        raise Conflict(f"It changed since you read it: it is at version {row.version} now.", param="version")


def require_person(scope: Scope) -> None:
    """Conversations are people's.

    Raises:
        BadRequest: the caller is an organization's key.
    """
    if not scope.user_id:
        raise BadRequest("Conversations belong to people: use a person's key or session, not an organization's key.")
