"""Queries on conversations and their messages. Content passes as the sealed bytes it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import Conversation, Message
from api.db.windows import Window, gone, through


@dataclass(frozen=True, slots=True)
class Listing:
    """Which conversations: a person's own, or with `team_id` those shared with a team."""

    organization_id: str
    user_id: str
    team_id: str | None = None
    project_id: str | None = None
    archived: bool | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message's content, as it is stored."""

    id: str
    seq: int
    data_key_id: str
    content: bytes | None


async def page(session: AsyncSession, listing: Listing, window: Window) -> tuple[list[Conversation], bool]:
    """By the time of the last change, and whether there are more. Errors as `through`."""
    here = Conversation.organization_id == listing.organization_id
    query = select(Conversation).where(here)
    if listing.team_id is not None:
        query = query.where(Conversation.team_id == listing.team_id)
    else:
        query = query.where(Conversation.user_id == listing.user_id)
    if listing.project_id is not None:
        query = query.where(Conversation.project_id == listing.project_id)
    if listing.archived is not None:
        query = query.where(Conversation.archived == listing.archived)
    return await through(session, query, (Conversation.updated_at, Conversation.id), here, window)


async def get(session: AsyncSession, conversation_id: str, *, for_update: bool = False) -> Conversation | None:
    """One that the unit's scope may see; `for_update` makes other changes of it wait."""
    query = select(Conversation).where(Conversation.id == conversation_id)
    if for_update:
        query = query.with_for_update()
    return (await session.scalars(query)).one_or_none()


async def add(session: AsyncSession, row: Conversation) -> None:
    """Keep a new one."""
    session.add(row)
    await session.flush()
    await session.refresh(row)


async def change(session: AsyncSession, conversation_id: str, **values: object) -> Conversation:
    """Set columns; the version and the time of the change (where `values` has none) move on."""
    query = (
        update(Conversation)
        .where(Conversation.id == conversation_id)
        .values(**{"version": Conversation.version + 1, "updated_at": func.clock_timestamp(), **values})
        .returning(Conversation)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).one()


async def remove(session: AsyncSession, conversation_id: str) -> None:
    """Remove one with its messages."""
    await session.execute(delete(Conversation).where(Conversation.id == conversation_id))


async def messages(
    session: AsyncSession, conversation_id: str, *, limit: int | None = None, after: str | None = None
) -> list[Message]:
    """In the order in which they were stored: every parent before its children.

    Raises:
        BadRequest: the conversation has no message `after`.
    """
    here = Message.conversation_id == conversation_id
    query = select(Message).where(here).order_by(Message.seq)
    if after is not None:
        seq = await session.scalar(select(Message.seq).where(here, Message.id == after))
        if seq is None:
            raise gone("after")
        query = query.where(Message.seq > seq)
    if limit is not None:
        query = query.limit(limit)
    return list(await session.scalars(query))


async def sealed_messages(session: AsyncSession, conversation_id: str, after: int, limit: int) -> list[Sealed]:
    """Contents by `seq`, from `after` on."""
    columns = (Message.id, Message.seq, Message.data_key_id, Message.content)
    query = select(*columns).where(Message.conversation_id == conversation_id, Message.seq > after)
    return [Sealed(*row) for row in await session.execute(query.order_by(Message.seq).limit(limit))]


async def reseal(
    session: AsyncSession, conversation_id: str, data_key_id: str, contents: Mapping[str, bytes | None]
) -> None:
    """The same contents under another key, by message: no version moves on."""
    query = text(
        "UPDATE messages m SET content = v.content, data_key_id = :key"
        " FROM unnest(cast(:ids AS text[]), cast(:contents AS bytea[])) AS v (id, content)"
        " WHERE m.id = v.id AND m.conversation_id = :conversation"
    )
    values = {"ids": list(contents), "contents": list(contents.values())}
    await session.execute(query, {"key": data_key_id, "conversation": conversation_id, **values})


async def message(session: AsyncSession, conversation_id: str, message_id: str) -> Message | None:
    """One message of a conversation."""
    query = select(Message).where(Message.id == message_id, Message.conversation_id == conversation_id)
    return (await session.scalars(query)).one_or_none()


async def next_place(session: AsyncSession, conversation_id: str, parent_id: str | None) -> tuple[int, int]:
    """Where the next message goes: its number in the conversation, and among its siblings.

    The caller holds the lock on the conversation.
    """
    last = await session.scalar(select(func.max(Message.seq)).where(Message.conversation_id == conversation_id))
    siblings = select(func.max(Message.branch)).where(Message.conversation_id == conversation_id)
    parent = Message.parent_id == parent_id if parent_id is not None else Message.parent_id.is_(None)
    branch = await session.scalar(siblings.where(parent))
    return (last or 0) + 1, branch + 1 if branch is not None else 0


async def add_messages(session: AsyncSession, rows: Sequence[Message]) -> None:
    """Keep new messages."""
    session.add_all(rows)
    await session.flush()
    for row in rows:
        await session.refresh(row, ["created_at", "version"])


async def change_message(session: AsyncSession, message_id: str, **values: object) -> Message:
    """Set columns; its version moves on."""
    query = (
        update(Message)
        .where(Message.id == message_id)
        .values(version=Message.version + 1, **values)
        .returning(Message)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).one()


async def remove_message(session: AsyncSession, message_id: str) -> None:
    """Remove a message with everything below it."""
    await session.execute(delete(Message).where(Message.id == message_id))


async def newest(session: AsyncSession, conversation_id: str) -> str | None:
    """The message that was stored last."""
    query = select(Message.id).where(Message.conversation_id == conversation_id).order_by(Message.seq.desc()).limit(1)
    found: str | None = await session.scalar(query)
    return found
