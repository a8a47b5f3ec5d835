"""Queries of export, erasure and retention. Erasure and retention run as the role of jobs, which sees every tenant."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, not_, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.tables import (
    ApiKey,
    AuditRow,
    Base,
    Consent,
    Conversation,
    DataKey,
    DirectoryUser,
    Erasure,
    FormerMember,
    IdempotencyKey,
    Identity,
    Imported,
    Invitation,
    LegalDocument,
    Membership,
    Message,
    Passkey,
    RetentionRule,
    Session,
    TeamMember,
    UsageRow,
    User,
)

CHANNEL = "manta_jobs"
"""There is something to do for `control`."""
BATCH = 500
LARGE_BATCH = 5000
"""Of rows that nothing hangs on."""


def _plain(row: Base, left_out: frozenset[str]) -> dict[str, Any]:
    return {column.name: getattr(row, column.key) for column in row.__table__.columns if column.name not in left_out}


async def facts(
    session: AsyncSession, user_id: str, secret: dict[str, frozenset[str]]
) -> dict[str, list[dict[str, Any]]]:
    """A person's rows in this organization by table, without the columns of `secret`; content and usage apart."""
    queries = {
        "users": select(User).where(User.id == user_id),
        "identities": select(Identity).where(Identity.user_id == user_id),
        "sessions": select(Session).where(Session.user_id == user_id).order_by(Session.created_at),
        "passkeys": select(Passkey).where(Passkey.user_id == user_id),
        "memberships": select(Membership).where(Membership.user_id == user_id),
        "former_members": select(FormerMember).where(FormerMember.user_id == user_id),
        "directory_users": select(DirectoryUser).where(DirectoryUser.user_id == user_id),
        "team_members": select(TeamMember).where(TeamMember.user_id == user_id),
        "api_keys": select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.created_at),
        "consents": select(Consent).where(Consent.user_id == user_id).order_by(Consent.created_at),
        "audit_log": select(AuditRow)
        .where(or_(AuditRow.actor == user_id, AuditRow.target == user_id))
        .order_by(AuditRow.seq),
    }
    return {
        name: [_plain(row, secret[name]) for row in await session.scalars(query)] for name, query in queries.items()
    }


async def usage(session: AsyncSession, organization_id: str, user_id: str) -> AsyncIterator[dict[str, Any]]:
    """A person's usage rows, oldest first."""
    query = (
        select(UsageRow)
        .where(UsageRow.organization_id == organization_id, UsageRow.user_id == user_id)
        .order_by(UsageRow.created_at)
        .execution_options(yield_per=BATCH)
    )
    async for row in await session.stream_scalars(query):
        yield _plain(row, frozenset())


async def own_conversations(session: AsyncSession, user_id: str, after: str) -> list[Conversation]:
    """A person's conversations by id, in batches."""
    query = select(Conversation).where(Conversation.user_id == user_id, Conversation.id > after)
    return list(await session.scalars(query.order_by(Conversation.id).limit(BATCH)))


async def messages_elsewhere(session: AsyncSession, user_id: str, after: str) -> list[Message]:
    """What a person wrote in conversations of others that they can see, by id, in batches."""
    query = (
        select(Message)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Message.author_id == user_id, Conversation.user_id != user_id, Message.id > after)
    )
    return list(await session.scalars(query.order_by(Message.id).limit(BATCH)))


async def ask_for_erasure(session: AsyncSession, row_id: str, organization_id: str, user_id: str, email: str) -> None:
    """A person goes: they are nobody from now on, and the job has an order. The unit is the person's own."""
    keys = select(DataKey.id).where(DataKey.owner_kind == "user", DataKey.owner_id == user_id)
    ids = list(await session.scalars(keys))
    session.add(
        Erasure(id=row_id, organization_id=organization_id, subject_kind="user", subject_id=user_id, data_key_ids=ids)
    )
    await session.execute(delete(Invitation).where(Invitation.email == email))
    await session.execute(delete(DirectoryUser).where(DirectoryUser.user_id == user_id))
    await session.execute(
        update(User)
        .where(User.id == user_id)
        .values(email=None, name="", password_hash=None, status="erased", updated_at=func.now())
    )
    await session.execute(
        update(Session).where(Session.user_id == user_id, Session.ended_at.is_(None)).values(ended_at=func.now())
    )


async def open_erasures(session: AsyncSession) -> list[Erasure]:
    """Orders that are not done."""
    query = select(Erasure).where(Erasure.completed_at.is_(None)).order_by(Erasure.requested_at, Erasure.id)
    return list(await session.scalars(query))


async def note_erasure(session: AsyncSession, values: dict[str, Any]) -> None:
    """Put an order of the ledger back that a restored database does not know."""
    await session.execute(insert(Erasure).values(**values).on_conflict_do_nothing())


async def is_erased(session: AsyncSession, row_id: str) -> bool:
    """Whether an order was carried out."""
    query = select(Erasure.id).where(Erasure.id == row_id, Erasure.completed_at.is_not(None))
    return await session.scalar(query) is not None


async def destroy_keys(session: AsyncSession, user_id: str) -> int:
    """Destroy a person's data keys in every organization."""
    query = delete(DataKey).where(DataKey.owner_kind == "user", DataKey.owner_id == user_id).returning(DataKey.id)
    return len(list(await session.scalars(query)))


async def remove_conversations(session: AsyncSession, user_id: str) -> int:
    """Remove one batch of a person's conversations with their messages; how many there were."""
    batch = select(Conversation.id).where(Conversation.user_id == user_id).limit(BATCH).scalar_subquery()
    return len(
        list(await session.scalars(delete(Conversation).where(Conversation.id.in_(batch)).returning(Conversation.id)))
    )


async def empty_messages(session: AsyncSession, user_id: str) -> int:
    """Empty one batch of what a person wrote in conversations of others, and take the name off; how many there were.

    The messages stay as nodes: others answered below them.
    """
    batch = select(Message.id).where(Message.author_id == user_id).limit(LARGE_BATCH).scalar_subquery()
    emptied = {"content": None, "author_id": None, "version": Message.version + 1}
    return counted(await session.execute(update(Message).where(Message.id.in_(batch)).values(emptied)))


async def forget_usage(session: AsyncSession, user_id: str) -> int:
    """Take the name out of one batch of a person's usage; how many rows there were."""
    batch = select(UsageRow.id).where(UsageRow.user_id == user_id).limit(LARGE_BATCH).scalar_subquery()
    return counted(await session.execute(update(UsageRow).where(UsageRow.id.in_(batch)).values(user_id=None)))


async def remove_person(session: AsyncSession, user_id: str, data_key_ids: Sequence[str]) -> dict[str, int]:
    """Remove everything else: sessions, keys, identities, consents go with the person's row."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.data_key_id.in_(list(data_key_ids))))
    await session.execute(delete(Imported).where(Imported.row_id == user_id))
    people = await session.execute(delete(User).where(User.id == user_id))
    return {"people": counted(people)}


async def finish_erasure(session: AsyncSession, row_id: str, report: dict[str, Any]) -> None:
    """The order is done."""
    values = {"completed_at": func.now(), "report": report}
    await session.execute(update(Erasure).where(Erasure.id == row_id).values(values))


async def rules(session: AsyncSession, organization_id: str) -> list[RetentionRule]:
    """An organization's own rules."""
    query = select(RetentionRule).where(RetentionRule.organization_id == organization_id)
    return list(await session.scalars(query.order_by(RetentionRule.data_class, RetentionRule.team_id)))


async def put_rule(
    session: AsyncSession, organization_id: str, team_id: str, data_class: str, days: int | None, *, hold: bool
) -> None:
    """Make or change a rule."""
    row = insert(RetentionRule).values(
        organization_id=organization_id, team_id=team_id, data_class=data_class, days=days, hold=hold
    )
    await session.execute(
        row.on_conflict_do_update(
            index_elements=["organization_id", "team_id", "data_class"],
            set_={"days": row.excluded.days, "hold": row.excluded.hold, "updated_at": func.now()},
        )
    )


async def organization_ids(session: AsyncSession) -> list[str]:
    """Every organization."""
    return [row.id for row in await session.execute(text("SELECT id FROM organizations ORDER BY id"))]


async def remove_old_conversations(
    session: AsyncSession, organization_id: str, team_id: str | None, but_teams: Sequence[str], before: datetime
) -> int:
    """Remove one batch of conversations that were last changed before that; how many there were.

    `team_id` None takes private ones and those of teams that are not in `but_teams` (which have rules of their own).
    """
    where: list[ColumnElement[bool]] = [
        Conversation.organization_id == organization_id,
        Conversation.updated_at < before,
    ]
    if team_id is not None:
        where.append(Conversation.team_id == team_id)
    elif but_teams:
        where.append(not_(and_(Conversation.team_id.is_not(None), Conversation.team_id.in_(list(but_teams)))))
    batch = select(Conversation.id).where(*where).limit(BATCH).scalar_subquery()
    gone = await session.scalars(delete(Conversation).where(Conversation.id.in_(batch)).returning(Conversation.id))
    return len(list(gone))


async def remove_old_usage(session: AsyncSession, organization_id: str, before: datetime) -> int:
    """Remove one batch of usage rows of before that; how many there were."""
    where = (UsageRow.organization_id == organization_id, UsageRow.created_at < before)
    batch = select(UsageRow.id).where(*where).limit(LARGE_BATCH).scalar_subquery()
    return counted(await session.execute(delete(UsageRow).where(UsageRow.id.in_(batch))))


async def remove_old_sessions(session: AsyncSession, organization_id: str, before: datetime) -> int:
    """Remove one batch of sessions that ended before that, with their tokens; how many there were."""
    over = or_(Session.ended_at < before, Session.expires_at < before)
    batch = select(Session.id).where(Session.organization_id == organization_id, over).limit(BATCH).scalar_subquery()
    return counted(await session.execute(delete(Session).where(Session.id.in_(batch))))


async def sweep(session: AsyncSession) -> None:
    """Remove what is good for minutes or a day only."""
    for statement in (
        "DELETE FROM ceremonies WHERE expires_at < now()",
        "DELETE FROM throttles WHERE window_ends_at < now() AND (blocked_until IS NULL OR blocked_until < now())",
        "DELETE FROM refresh_tokens t USING sessions s WHERE s.id = t.session_id AND t.number < s.renewals - 1"
        " AND t.created_at < now() - interval '1 day'",
        "DELETE FROM idempotency_keys WHERE created_at < now() - interval '25 hours'",
        "DELETE FROM one_time_tokens WHERE expires_at < now() - interval '30 days'",
        "DELETE FROM invitations WHERE expires_at < now() - interval '30 days'",
    ):
        await session.execute(text(statement))


async def add_consent(
    session: AsyncSession, row_id: str, user_id: str, document: str, version: str, *, given: bool
) -> None:
    """Keep what a person agreed to, or took back."""
    session.add(Consent(id=row_id, user_id=user_id, document=document, version=version, given=given))
    await session.flush()


async def consents(session: AsyncSession, user_id: str) -> list[Consent]:
    """What a person agreed to, oldest first."""
    query = select(Consent).where(Consent.user_id == user_id).order_by(Consent.created_at, Consent.id)
    return list(await session.scalars(query))


async def keep_document(session: AsyncSession, document: str, version: str, content: str) -> None:
    """Keep the text that people agree to."""
    row = insert(LegalDocument).values(document=document, version=version, text=content)
    await session.execute(row.on_conflict_do_nothing())


def counted(result: Any) -> int:  # noqa: ANN401  SQLAlchemy's result of a DELETE or UPDATE
    """How many rows it was."""
    return int(result.rowcount)
