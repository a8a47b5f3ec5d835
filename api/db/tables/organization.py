"""Inside an organization: who belongs to it, what they may do, and its keys."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from api.db.tables.base import Base, Created, Id, OfOrganization, digest_check


class Role(Base):
    """A custom role: named permissions. The built-in ones are code (`api.roles`) and have no rows."""

    __tablename__ = "roles"

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    permissions: Mapped[list[str]]
    created_at: Mapped[Created]


class Membership(Base):
    """A person in an organization, under a built-in or custom role."""

    __tablename__ = "memberships"
    __table_args__ = (Index(None, "user_id"),)

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str]
    created_at: Mapped[Created]


class FormerMember(Base):
    """A person who left an organization, which still holds what they made there and may erase them."""

    __tablename__ = "former_members"
    __table_args__ = (Index(None, "user_id"),)

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str]
    left_at: Mapped[Created]


class DirectoryUser(Base):
    """What a directory (SCIM) calls a member. It stays when the person leaves, so that they can come back as the same.

    `profile` has `name`, `displayName` and `emails` as the directory sent them.
    """

    __tablename__ = "directory_users"
    __table_args__ = (
        Index("uq_directory_users_user_name", "organization_id", text("lower(user_name)"), unique=True),
        Index(None, "organization_id", "external_id"),
        Index(None, "user_id"),
    )

    organization_id: Mapped[str] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    user_name: Mapped[str]
    external_id: Mapped[str | None]
    profile: Mapped[dict[str, Any]]
    provisioned: Mapped[bool]
    """The directory made this account, so its address follows the directory."""
    created_at: Mapped[Created]
    updated_at: Mapped[Created]


class Invitation(Base):
    """A link by which somebody joins under a role; for one address, or for whoever holds it."""

    __tablename__ = "invitations"
    __table_args__ = (Index(None, "organization_id"), digest_check())

    id: Mapped[Id]
    digest: Mapped[bytes] = mapped_column(unique=True)
    organization_id: Mapped[OfOrganization]
    email: Mapped[str | None]
    role: Mapped[str]
    invited_by: Mapped[str | None]
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Team(Base):
    """People who share conversations and documents."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("organization_id", "name"), UniqueConstraint("organization_id", "id"))

    id: Mapped[Id]
    organization_id: Mapped[OfOrganization]
    name: Mapped[str]
    external_id: Mapped[str | None]
    created_at: Mapped[Created]
    updated_at: Mapped[Created]


class TeamMember(Base):
    """A person in a team; only members of the team's organization can be in it."""

    __tablename__ = "team_members"
    __table_args__ = (
        ForeignKeyConstraint(["organization_id", "team_id"], ["teams.organization_id", "teams.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["organization_id", "user_id"], ["memberships.organization_id", "memberships.user_id"], ondelete="CASCADE"
        ),
        Index(None, "user_id"),
        Index(None, "organization_id", "user_id"),
    )

    team_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    created_at: Mapped[Created]


class Project(Base):
    """What work is sorted by: conversations, keys and later files of one purpose. It may belong to a team."""

    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("organization_id", "name"), Index(None, "team_id"))

    id: Mapped[Id]
    organization_id: Mapped[OfOrganization]
    team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.id", ondelete="SET NULL"))
    name: Mapped[str]
    created_at: Mapped[Created]


class ApiKey(Base):
    """A key is shown once; what stays is its SHA-256 and enough of its beginning to recognise it in a list.

    A person's key can never do more than the person; one without a person belongs to the organization.
    """

    __tablename__ = "api_keys"
    __table_args__ = (digest_check(), Index(None, "organization_id", "created_at"), Index(None, "user_id"))

    id: Mapped[Id]
    organization_id: Mapped[OfOrganization]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id", ondelete="SET NULL"))
    name: Mapped[str]
    digest: Mapped[bytes] = mapped_column(unique=True)
    prefix: Mapped[str]
    permissions: Mapped[list[str]]
    models: Mapped[list[str] | None]
    """The names it may call; all when there are none."""
    created_at: Mapped[Created]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
