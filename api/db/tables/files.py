"""What people uploaded. The bytes lie in the file store, sealed; here is what is known of them."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from api.db.tables.base import Base, Created, Id, OfOrganization


class File(Base):
    """A file of a person, or of the organization whose key uploaded it. Several of one owner may share a blob."""

    __tablename__ = "files"
    __table_args__ = (
        Index("ix_files_list", "organization_id", "user_id", text("created_at DESC"), text("id DESC")),
        Index("ix_files_content", "organization_id", "digest"),
        Index(None, "blob"),
        Index(None, "user_id"),
        Index(None, "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    )

    id: Mapped[Id]
    organization_id: Mapped[OfOrganization]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    data_key_id: Mapped[str]
    name: Mapped[bytes]
    purpose: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes]
    """HMAC of the content's SHA-256 under the owner's key: it tells equal files of one owner and nothing else."""
    blob: Mapped[str]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[Created]


class FileTotal(Base):
    """How many bytes the files of an owner have, kept by triggers; `owner_id` is "" for the organization's keys."""

    __tablename__ = "file_totals"

    organization_id: Mapped[OfOrganization] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
