"""Organizations, API keys, served models and the usage ledger."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GRANTS = {
    "organizations": "SELECT",
    "api_keys": "SELECT, INSERT, UPDATE",
    "models": "SELECT, INSERT, UPDATE, DELETE",
    "usage": "SELECT, INSERT",
    "alembic_version": "SELECT",
}


def upgrade() -> None:
    """Create the tables and grant the application what it needs, no more."""
    now = sa.text("now()")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "organizations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", moment, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("permissions", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", moment, server_default=now, nullable=False),
        sa.Column("expires_at", moment),
        sa.Column("revoked_at", moment),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_api_keys_digest")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_api_keys_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_organization_id", "api_keys", ["organization_id"])
    op.create_table(
        "models",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("spec", postgresql.JSONB, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("created_at", moment, server_default=now, nullable=False),
        sa.Column("updated_at", moment, server_default=now, nullable=False),
        sa.CheckConstraint("origin IN ('file', 'api')", name=op.f("ck_models_origin")),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )
    op.create_table(
        "usage",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("api_key_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_usage_organization_id"),
        sa.PrimaryKeyConstraint("id", name="pk_usage"),
    )
    op.create_index("ix_usage_organization_id_created_at", "usage", ["organization_id", "created_at"])
    op.execute("insert into organizations (id, name) values ('default', 'Default')")
    for table, rights in GRANTS.items():
        op.execute(grant_if_there(rights, table, "manta_app"))


def grant_if_there(rights: str, table: str, role: str) -> str:
    """A managed database may have one role only; then there is nobody to grant to."""
    return (
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') "
        f"THEN GRANT {rights} ON {table} TO {role}; END IF; END $$"
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("usage", "models", "api_keys", "organizations"):
        op.drop_table(table)
