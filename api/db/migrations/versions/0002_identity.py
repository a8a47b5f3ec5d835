"""Accounts, organizations, encrypted content, the audit log; and row level security on every table of a tenant.

On a server of the operator's the roles are made here, without a login: its one account becomes them for each unit of
work. The embedded server has them already, each with a login of its own.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FOLDER = Path(__file__).parent
ROLES = ("manta_app", "manta_jobs", "manta_audit", "manta_lookup")


def upgrade() -> None:
    """Make roles, tables and walls."""
    connection = op.get_bind()
    there = set(connection.scalars(sa.text("select rolname from pg_roles")))
    for role in ROLES:
        if role not in there:
            connection.exec_driver_sql(f"CREATE ROLE {role} NOLOGIN NOINHERIT")
            connection.exec_driver_sql(f"GRANT {role} TO CURRENT_USER")
    for name in ("0002_tables.sql", "0002_walls.sql"):
        run_script(connection, (FOLDER / name).read_text("utf-8"))
    connection.exec_driver_sql("GRANT SELECT, INSERT, UPDATE, DELETE ON models TO manta_app")


def run_script(connection: sa.Connection, script: str) -> None:
    """Many statements, as they are: past SQLAlchemy, which would look for parameters in them."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(script)


def downgrade() -> None:
    """There is no way back: the data keys would be lost."""
    raise NotImplementedError("restore a backup instead")
