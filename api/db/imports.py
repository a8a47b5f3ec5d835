"""Queries of moving in: what came from elsewhere already, and the rows that it becomes.

The unit of work must be one of the jobs' role: it writes for many people. It sees content as sealed bytes only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import Conversation, Imported, Membership, Message, Organization, User

ROWS_AT_ONCE = 500
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose import it is, and of which program. `external_id`s are unique within it for each kind."""

    organization_id: str
    source: str


@dataclass(frozen=True, slots=True)
class Branches:
    """The messages that a conversation has: how many follow each, and the last one's number."""

    ids: frozenset[str]
    answers: Mapping[str | None, int]
    last_seq: int


async def known(session: AsyncSession, origin: Origin, kind: str, external_ids: Sequence[str]) -> dict[str, str]:
    """The rows that these became before, by external id."""
    found: dict[str, str] = {}
    for batch in batches(external_ids):
        query = select(Imported.external_id, Imported.row_id).where(
            Imported.organization_id == origin.organization_id,
            Imported.source == origin.source,
            Imported.kind == kind,
            Imported.external_id.in_(batch),
        )
        found.update((row.external_id, row.row_id) for row in await session.execute(query))
    return found


async def remember(session: AsyncSession, origin: Origin, kind: str, external_id: str, row_id: str) -> bool:
    """Note what became of something; False when that was noted before."""
    values = {"organization_id": origin.organization_id, "source": origin.source, "kind": kind}
    row = insert(Imported).values(**values, external_id=external_id, row_id=row_id)
    query = row.on_conflict_do_nothing().returning(Imported.external_id)
    return (await session.scalars(query)).one_or_none() is not None


async def remember_all(session: AsyncSession, origin: Origin, kind: str, rows: Mapping[str, str]) -> None:
    """Note what became of what, row ids by external ids; none of them was noted before."""
    values = {"organization_id": origin.organization_id, "source": origin.source, "kind": kind}
    if rows:
        noted = [{**values, "external_id": external_id, "row_id": row_id} for external_id, row_id in rows.items()]
        await session.execute(insert(Imported), noted)


async def commit_without_waiting(session: AsyncSession) -> None:
    """Let this unit of work be on the disk a moment after it ends: at the latest when a later one is that waits."""
    await session.execute(text("set local synchronous_commit = off"))


async def organization_exists(session: AsyncSession, organization_id: str) -> bool:
    """Whether there is such an organization."""
    return await session.get(Organization, organization_id) is not None


async def person(session: AsyncSession, *, email: str | None = None, user_id: str | None = None) -> User | None:
    """A person by address or by id."""
    query = select(User).where(User.email == email if user_id is None else User.id == user_id)
    return (await session.scalars(query)).one_or_none()


async def is_member(session: AsyncSession, organization_id: str, user_id: str) -> bool:
    """Whether a person belongs to an organization."""
    return await session.get(Membership, (organization_id, user_id)) is not None


async def add_person(session: AsyncSession, organization_id: str, role: str, values: Mapping[str, Any]) -> bool:
    """Add a person as a member; False when the address belongs to somebody."""
    query = insert(User).values(**values).on_conflict_do_nothing().returning(User.id)
    if (await session.scalars(query)).one_or_none() is None:
        return False
    membership = insert(Membership).values(organization_id=organization_id, user_id=values["id"], role=role)
    await session.execute(membership)
    return True


async def add_conversation(session: AsyncSession, values: Mapping[str, Any]) -> None:
    """Add a conversation, without its messages."""
    await session.execute(insert(Conversation).values(**values))


async def add_messages(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add messages, parents before their children."""
    await session.execute(insert(Message), [dict(row) for row in rows])


async def conversation(session: AsyncSession, conversation_id: str) -> Conversation | None:
    """A conversation, held until the unit of work ends."""
    query = select(Conversation).where(Conversation.id == conversation_id).with_for_update()
    return (await session.scalars(query)).one_or_none()


async def branches(session: AsyncSession, conversation_id: str) -> Branches:
    """What a conversation has."""
    query = select(Message.id, Message.parent_id, Message.seq).where(Message.conversation_id == conversation_id)
    rows = list(await session.execute(query))
    answers: dict[str | None, int] = {}
    for row in rows:
        answers[row.parent_id] = answers.get(row.parent_id, 0) + 1
    return Branches(frozenset(row.id for row in rows), answers, max((row.seq for row in rows), default=0))


async def extend(
    session: AsyncSession, conversation_id: str, current_message_id: str | None, updated_at: datetime | None
) -> None:
    """Note that a conversation grew: its version, its last change, and the end that is shown if one is given."""
    values: dict[str, Any] = {"version": Conversation.version + 1}
    if current_message_id is not None:
        values["current_message_id"] = current_message_id
    if updated_at is not None:
        values["updated_at"] = func.greatest(Conversation.updated_at, updated_at)
    await session.execute(update(Conversation).where(Conversation.id == conversation_id).values(values))


def batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows, so many at a time."""
    return (rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE))
