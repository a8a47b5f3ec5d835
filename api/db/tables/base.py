"""What all tables share: names of constraints, and columns that many of them have."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, LargeBinary, MetaData, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
DIGEST_BYTES = 32


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can name them."""

    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map: ClassVar[Any] = {
        datetime: DateTime(timezone=True),
        str: Text,
        bytes: LargeBinary,
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
    }


Id = Annotated[str, mapped_column(primary_key=True)]
"""`<kind>_<24 hexadecimal digits>`, made by `api.ids`."""
Created = Annotated[datetime, mapped_column(server_default=func.now())]
OfOrganization = Annotated[str, mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))]
OfUser = Annotated[str, mapped_column(ForeignKey("users.id", ondelete="CASCADE"))]


def digest_check() -> CheckConstraint:
    """A column `digest` holds a SHA-256."""
    return CheckConstraint(f"length(digest) = {DIGEST_BYTES}", "digest")
