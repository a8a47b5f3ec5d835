"""Queries that close an organization (as the application, for it) and erase it (as the role of jobs)."""

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.privacy import BATCH, LARGE_BATCH, counted
from api.db.tables import ApiKey, Conversation, DataKey, Erasure, Invitation, Organization, Session, UsageRow


async def ask_for_erasure(session: AsyncSession, row_id: str, asking: str, organization_id: str) -> None:
    """The job has an order. The unit is that of the organization `asking`."""
    session.add(
        Erasure(
            id=row_id,
            organization_id=asking,
            subject_kind="organization",
            subject_id=organization_id,
            data_key_ids=[],
        )
    )
    await session.flush()


async def close(session: AsyncSession, organization_id: str) -> None:
    """Nobody works in it any more: its sessions end, its keys and invitations are good for nothing."""
    sessions = (Session.organization_id == organization_id, Session.ended_at.is_(None))
    keys = (ApiKey.organization_id == organization_id, ApiKey.revoked_at.is_(None))
    await session.execute(update(Session).where(*sessions).values(ended_at=func.now()))
    await session.execute(update(ApiKey).where(*keys).values(revoked_at=func.now()))
    await session.execute(delete(Invitation).where(Invitation.organization_id == organization_id))


async def destroy_keys(session: AsyncSession, organization_id: str) -> int:
    """Destroy every data key of an organization."""
    return counted(await session.execute(delete(DataKey).where(DataKey.organization_id == organization_id)))


async def remove_conversations(session: AsyncSession, organization_id: str) -> int:
    """Remove one batch of an organization's conversations with their messages; how many there were."""
    mine = select(Conversation.id).where(Conversation.organization_id == organization_id)
    batch = mine.limit(BATCH).scalar_subquery()
    return counted(await session.execute(delete(Conversation).where(Conversation.id.in_(batch))))


async def remove_usage(session: AsyncSession, organization_id: str) -> int:
    """Remove one batch of an organization's usage; how many rows there were."""
    mine = select(UsageRow.id).where(UsageRow.organization_id == organization_id)
    batch = mine.limit(LARGE_BATCH).scalar_subquery()
    return counted(await session.execute(delete(UsageRow).where(UsageRow.id.in_(batch))))


async def remove_organization(session: AsyncSession, organization_id: str) -> int:
    """Remove the organization with all that is only its own. Its people keep their accounts, its audit log stays."""
    return counted(await session.execute(delete(Organization).where(Organization.id == organization_id)))
