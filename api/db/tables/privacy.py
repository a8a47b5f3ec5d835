"""The audit log, consents, retention, erasures."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from api.db.tables.base import Base, Created, Id, OfUser


class AuditHead(Base):
    """Where an organization's chain stands. Its row is the lock under which the next entry is made."""

    __tablename__ = "audit_heads"

    organization_id: Mapped[Id]
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes]


class AuditRow(Base):
    """One act that matters for security. Only the function `append_audit` adds rows; each holds the last one's hash."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index(None, "organization_id", "created_at"),
        Index(None, "organization_id", "action", "seq"),
        Index(None, "organization_id", "actor", "seq"),
        Index(None, "organization_id", "target", "seq"),
        Index("ix_audit_log_not_ok", "organization_id", "outcome", "seq", postgresql_where=text("outcome <> 'ok'")),
    )

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    created_at: Mapped[datetime]
    actor: Mapped[str]
    """Who: a keyed pseudonym of a person, a key's id, or `system`."""
    action: Mapped[str] = mapped_column(Text(collation="C"))
    """`thing.verb`; ordered by its bytes, so that its beginning can be looked up in the index."""
    target: Mapped[str]
    outcome: Mapped[str]
    address: Mapped[str]
    request_id: Mapped[str]
    details: Mapped[str]
    """JSON, as text: its bytes are hashed."""
    previous_hash: Mapped[bytes]
    hash: Mapped[bytes]


class Consent(Base):
    """A person agreed to a version of a document, or took it back."""

    __tablename__ = "consents"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[Id]
    user_id: Mapped[OfUser]
    document: Mapped[str]
    version: Mapped[str]
    given: Mapped[bool]
    created_at: Mapped[Created]


class LegalDocument(Base):
    """A version of the privacy policy, terms or cookie notice as it was shown (rendered from the operator's fields)."""

    __tablename__ = "legal_documents"

    document: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    created_at: Mapped[Created]


class RetentionRule(Base):
    """How long an organization (or one team of it) keeps a class of data; `hold` keeps it whatever the days say."""

    __tablename__ = "retention_rules"

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    team_id: Mapped[str] = mapped_column(primary_key=True, server_default="")
    data_class: Mapped[str] = mapped_column(primary_key=True)
    days: Mapped[int | None]
    hold: Mapped[bool]
    updated_at: Mapped[Created]


class Erasure(Base):
    """The ledger of what was erased: replayed after every restore. It names nobody: ids only."""

    __tablename__ = "erasures"

    id: Mapped[Id]
    organization_id: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[str]
    data_key_ids: Mapped[list[str]]
    requested_at: Mapped[Created]
    completed_at: Mapped[datetime | None]
    report: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
