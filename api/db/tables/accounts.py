"""People, how they prove who they are, and where they are signed in."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from api.db.tables.base import Base, Created, Id, OfOrganization, OfUser, digest_check

USER_STATES = "'active', 'disabled', 'erased'"


class User(Base):
    """A person. `email` is kept in lower case; an erased person has none."""

    __tablename__ = "users"

    id: Mapped[Id]
    email: Mapped[str | None] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(server_default="")
    password_hash: Mapped[str | None]
    status: Mapped[str] = mapped_column(
        CheckConstraint(f"status IN ({USER_STATES})", "status"), server_default="active"
    )
    email_verified_at: Mapped[datetime | None]
    last_login_at: Mapped[datetime | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Created]


class Identity(Base):
    """A person at a provider: (issuer, subject), never an e-mail address."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"), Index(None, "user_id"))

    id: Mapped[Id]
    user_id: Mapped[OfUser]
    provider: Mapped[str]
    issuer: Mapped[str]
    subject: Mapped[str]
    email: Mapped[str | None]
    created_at: Mapped[Created]
    last_used_at: Mapped[datetime | None]


class Session(Base):
    """One sign-in of one person in one organization; it lives until it is ended or `expires_at`."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"), Index(None, "organization_id"), Index(None, "expires_at"))

    id: Mapped[Id]
    user_id: Mapped[OfUser]
    organization_id: Mapped[OfOrganization]
    """Where its next access token will be good; a token says itself where it is."""
    family: Mapped[bytes | None] = mapped_column(unique=True)
    """SHA-256 of what all its refresh tokens begin with: an old one is known by it after its row is gone."""
    renewals: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """How many of its refresh tokens were used, copies apart: the `number` of the next one that may be."""
    methods: Mapped[list[str]]
    """How it was proven: `password`, `totp`, `recovery_code`, `passkey`, `oidc:<provider>`."""
    user_agent: Mapped[str] = mapped_column(server_default="")
    address: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[Created]
    authenticated_at: Mapped[Created]
    last_used_at: Mapped[Created]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RefreshToken(Base):
    """One link of a session's chain of refresh tokens. Several have one number where an answer had to be repeated."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "session_id"), digest_check())

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    user_id: Mapped[OfUser]
    number: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[Created]
    used_at: Mapped[datetime | None]


class OneTimeToken(Base):
    """A link that was sent or printed: verify an address, reset a password, become the first admin."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (digest_check(), Index(None, "user_id"))

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email: Mapped[str | None]
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class TotpSecret(Base):
    """A person's authenticator app; it counts once `confirmed_at` is set. No code of `last_step` or before counts."""

    __tablename__ = "totp_secrets"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    data_key_id: Mapped[str]
    secret: Mapped[bytes]
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[Created]


class RecoveryCode(Base):
    """A code that stands in for the second factor, once."""

    __tablename__ = "recovery_codes"
    __table_args__ = (digest_check(),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    used_at: Mapped[datetime | None]
    created_at: Mapped[Created]


class Passkey(Base):
    """A WebAuthn credential."""

    __tablename__ = "passkeys"
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[Id]
    user_id: Mapped[OfUser]
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    user_handle: Mapped[bytes]
    """What the authenticator knows the person by: random, and the same for all passkeys of one person."""
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str]
    created_at: Mapped[Created]
    last_used_at: Mapped[datetime | None]


class Ceremony(Base):
    """A sign-in that is under way: what was asked of a provider or an authenticator. Used once, within minutes."""

    __tablename__ = "ceremonies"
    __table_args__ = (digest_check(), Index(None, "expires_at"))

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]


class Throttle(Base):
    """Failed guesses at one account, or what one address began; the key is a digest."""

    __tablename__ = "throttles"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    count: Mapped[int]
    window_ends_at: Mapped[datetime] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None]
