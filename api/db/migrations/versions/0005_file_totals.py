"""How much each owner stores, as a number: summing up an owner's files at every upload cost the square of them."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, fill it, and have it kept true."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.execute((Path(__file__).parent / "0005_file_totals.sql").read_text("utf-8"))


def downgrade() -> None:
    """There is no way back."""
    raise NotImplementedError("restore a backup instead")
