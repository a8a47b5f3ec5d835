"""Files that people upload."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and its wall."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.execute((Path(__file__).parent / "0003_files.sql").read_text("utf-8"))


def downgrade() -> None:
    """There is no way back: the files would be lost."""
    raise NotImplementedError("restore a backup instead")
