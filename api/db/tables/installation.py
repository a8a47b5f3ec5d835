"""What belongs to the installation and to no tenant."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from api.db.tables.base import Base, Created, Id


class Organization(Base):
    """A tenant: who owns users' memberships, keys and usage. The one named `default` runs the installation."""

    __tablename__ = "organizations"

    id: Mapped[Id]
    name: Mapped[str]
    settings: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[Created]


class ServedModel(Base):
    """A model that clients can name. `origin` is `file` (seeded from the YAML, follows it) or `api`."""

    __tablename__ = "models"

    name: Mapped[Id]
    spec: Mapped[dict[str, Any]]
    origin: Mapped[str] = mapped_column(CheckConstraint("origin IN ('file', 'api')", "origin"))
    created_at: Mapped[Created]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
