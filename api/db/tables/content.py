"""What people write, and the keys it is encrypted with. Content is bytes that only the vault reads."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from api.db.tables.base import Base, Created, Id, OfOrganization


class DataKey(Base):
    """The key of one owner's content, wrapped by a master key. Without this row the content is noise."""

    __tablename__ = "data_keys"
    __table_args__ = (UniqueConstraint("organization_id", "owner_kind", "owner_id"), Index(None, "master_key_id"))

    id: Mapped[Id]
    organization_id: Mapped[OfOrganization]
    owner_kind: Mapped[str] = mapped_column(
        CheckConstraint("owner_kind IN ('user', 'team', 'organization')", "owner_kind")
    )
    owner_id: Mapped[str]
    master_key_id: Mapped[str]
    wrapped: Mapped[bytes]
    created_at: Mapped[Created]


class MasterKeyCheck(Base):
    """Which master keys the content needs, and how to tell the right one from a wrong one of that name."""

    __tablename__ = "master_keys"

    id: Mapped[Id]
    check_value: Mapped[bytes]
    created_at: Mapped[Created]


class Conversation(Base):
    """A tree of messages. It belongs to a person, and may be shared with a team."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index("ix_conversations_list", "organization_id", "user_id", text("updated_at DESC"), text("id DESC")),
        ForeignKeyConstraint(
            ["team_id", "user_id"],
            ["team_members.team_id", "team_members.user_id"],
            deferrable=True,
            initially="DEFERRED",
        ),
        Index("ix_conversations_team", "team_id", text("updated_at DESC"), text("id DESC")),
        Index(None, "project_id"),
    )

    id: Mapped[Id]
    organization_id: Mapped[OfOrganization]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    team_id: Mapped[str | None]
    """Its maker is in that team: who leaves it takes their conversations along (`api.sharing`)."""
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id", ondelete="SET NULL"))
    data_key_id: Mapped[str]
    title: Mapped[bytes]
    current_message_id: Mapped[str | None]
    archived: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[Created]
    updated_at: Mapped[Created]


class Message(Base):
    """One node of the tree. Siblings (same parent) are versions of a turn; `branch` counts them from 0."""

    __tablename__ = "messages"
    __table_args__ = (
        Index(None, "conversation_id", "seq", unique=True),
        Index(None, "parent_id"),
        Index(None, "author_id", postgresql_where=text("author_id IS NOT NULL")),
        Index(None, "organization_id", "created_at"),
    )

    id: Mapped[Id]
    organization_id: Mapped[OfOrganization]
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    seq: Mapped[int] = mapped_column(BigInteger)
    """Counts the conversation's messages in the order in which they were stored."""
    branch: Mapped[int]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    role: Mapped[str] = mapped_column(CheckConstraint("role IN ('system', 'user', 'assistant', 'tool')", "role"))
    model: Mapped[str | None]
    author_id: Mapped[str | None]
    """Who stored its content last; None where that person was erased, and the content with them."""
    data_key_id: Mapped[str]
    content: Mapped[bytes | None]
    created_at: Mapped[Created]


class IdempotencyKey(Base):
    """What a POST with an `Idempotency-Key` did, for 24 hours. `response` is encrypted: it may hold a new key."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    """SHA-256 of who, the route and the key."""
    request_digest: Mapped[bytes]
    status: Mapped[int | None]
    """None while the request runs."""
    headers: Mapped[dict[str, Any] | None]
    data_key_id: Mapped[str | None]
    response: Mapped[bytes | None]
    created_at: Mapped[datetime]


class Imported(Base):
    """What was moved in from elsewhere, so that a second run adds nothing twice."""

    __tablename__ = "imported"
    __table_args__ = (Index(None, "row_id"),)

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    row_id: Mapped[str]
    created_at: Mapped[Created]
