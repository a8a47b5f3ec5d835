"""Vector stores: their files, the chunks of these, and what was removed."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, their walls and what runs at a deletion."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.execute((Path(__file__).parent / "0004_knowledge.sql").read_text("utf-8"))


def downgrade() -> None:
    """There is no way back: the stores would be lost."""
    raise NotImplementedError("restore a backup instead")
