"""Vector stores: what people search in. Texts, vectors and names are sealed with the key of the store's owner."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from api.db.tables.base import Base, Created, Id, OfOrganization

OF_STORE = "vector_stores.id"


class VectorStore(Base):
    """A store of a person, or of the organization whose key made it. `about` is its name, description and metadata.

    Files and chunks are those of its index, which is the store itself until it is embedded anew: then it is another
    row, `index_of` the store, that people do not see. `index_id` names the one that is searched, since `index_since`;
    one that was searched, or is not wanted any more, is `retired`.
    """

    __tablename__ = "vector_stores"
    __table_args__ = (
        Index("ix_vector_stores_list", "organization_id", "user_id", text("created_at DESC"), text("id DESC")),
        Index(None, "user_id"),
        Index(None, "index_of"),
        Index(None, "last_active_at", postgresql_where=text("expires_after_days IS NOT NULL")),
    )

    id: Mapped[Id]
    organization_id: Mapped[OfOrganization]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    data_key_id: Mapped[str]
    about: Mapped[bytes]
    embedding_model: Mapped[str]
    dimensions: Mapped[int]
    probe: Mapped[bytes | None]
    """What the model made of one sentence (`models.embedding.probe`), where that is known."""
    seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Of the last change. To add one to it is to ask for the next number: a trigger takes a random step."""
    next_chunk: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    expires_after_days: Mapped[int | None]
    index_of: Mapped[str | None] = mapped_column(ForeignKey(OF_STORE, ondelete="CASCADE"))
    index_id: Mapped[str | None]
    index_since: Mapped[datetime | None]
    retired: Mapped[bool] = mapped_column(server_default=text("false"))
    last_active_at: Mapped[Created]
    created_at: Mapped[Created]


class VectorStoreFileBatch(Base):
    """Files that were added together. Those that are indexed because of it have its id (`VectorStoreFile.batch_id`)."""

    __tablename__ = "vector_store_file_batches"
    __table_args__ = (Index(None, "vector_store_id"), Index(None, "organization_id"), Index(None, "user_id"))

    id: Mapped[Id]
    organization_id: Mapped[OfOrganization]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    vector_store_id: Mapped[str] = mapped_column(ForeignKey(OF_STORE, ondelete="CASCADE"))
    file_ids: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    cancelled: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Created]


class VectorStoreFile(Base):
    """A file in a store, and the job that indexes it (`epoch`, `attempts`, `leased_until`).

    While it waits to be cut anew, `sizes_before` tells how the chunks are cut: `max_tokens` and `overlap_tokens`.
    """

    __tablename__ = "vector_store_files"
    __table_args__ = (
        CheckConstraint("status IN ('in_progress', 'completed', 'failed', 'cancelled')", "status"),
        Index("ix_vector_store_files_list", "vector_store_id", text("created_at DESC"), text("file_id DESC")),
        Index("ix_vector_store_files_status", "vector_store_id", "status"),
        Index(
            "ix_vector_store_files_described_seq",
            "vector_store_id",
            "described_seq",
            postgresql_where=text("described_seq > 0"),
        ),
        Index(
            "ix_vector_store_files_waiting",
            "vector_store_id",
            "created_at",
            "file_id",
            postgresql_where=text("status = 'in_progress'"),
        ),
        Index(None, "leased_until", postgresql_where=text("leased_until IS NOT NULL")),
        Index(None, "file_id"),
        Index(None, "batch_id"),
        Index(None, "organization_id"),
        Index(None, "user_id"),
    )

    vector_store_id: Mapped[str] = mapped_column(ForeignKey(OF_STORE, ondelete="CASCADE"), primary_key=True)
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    organization_id: Mapped[OfOrganization]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    batch_id: Mapped[str | None] = mapped_column(ForeignKey("vector_store_file_batches.id", ondelete="SET NULL"))
    status: Mapped[str] = mapped_column(server_default=text("'in_progress'"))
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    attributes: Mapped[bytes]
    notes: Mapped[bytes | None]
    described_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    max_tokens: Mapped[int]
    overlap_tokens: Mapped[int]
    sizes_before: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    usage_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    chunk_count: Mapped[int] = mapped_column(server_default=text("0"))
    epoch: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    leased_until: Mapped[datetime | None]
    created_at: Mapped[Created]


class Chunk(Base):
    """A piece of a file. `content` is JSON (text, start, end, page, pages, headings, table_head), `vectors` float32."""

    __tablename__ = "chunks"
    __table_args__ = (
        ForeignKeyConstraint(
            ["vector_store_id", "file_id"],
            ["vector_store_files.vector_store_id", "vector_store_files.file_id"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("vector_store_id", "file_id", "number"),
        Index("ix_chunks_vector_store_id_seq", "vector_store_id", "seq"),
        Index(None, "organization_id"),
        Index(None, "user_id"),
    )

    vector_store_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Unique in its store, and never used again."""
    file_id: Mapped[str]
    organization_id: Mapped[OfOrganization]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    seq: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int]
    content: Mapped[bytes]
    vectors: Mapped[bytes]


class VectorStoreChange(Base):
    """That a store had this change, and chunks that went with it, for who follows it. A trigger writes it."""

    __tablename__ = "vector_store_changes"
    __table_args__ = (
        Index(None, "organization_id"),
        Index(None, "created_at"),
        Index(
            "ix_vector_store_changes_removed",
            "vector_store_id",
            "seq",
            postgresql_where=text("chunk_ids <> '{}'"),
        ),
    )

    vector_store_id: Mapped[str] = mapped_column(ForeignKey(OF_STORE, ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    organization_id: Mapped[OfOrganization]
    chunk_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    created_at: Mapped[Created]
