"""The usage ledger."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from api.db.tables.base import Base, Id


class UsageRow(Base):
    """What one request used. Written in batches from each ingress's outbox; the id makes a second try harmless."""

    __tablename__ = "usage"
    __table_args__ = (
        Index(None, "organization_id", "created_at"),
        Index(None, "organization_id", "user_id", "created_at"),
        Index(None, "user_id", postgresql_where=text("user_id IS NOT NULL")),
    )

    id: Mapped[Id]
    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id"))
    api_key_id: Mapped[str | None]
    user_id: Mapped[str | None]
    model: Mapped[str]
    route: Mapped[str]
    status: Mapped[int]
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
