"""A new column has no class until somebody decides."""

from api.db.tables import Base
from api.privacy.classes import CLASSES, EXPORTED, NOT_EXPORTED

KINDS = {"id", "contact", "fact", "content", "secret", "none"}


def test_every_column_has_a_class() -> None:
    columns = {table.name: {column.name for column in table.columns} for table in Base.metadata.tables.values()}
    assert {name: set(kinds) for name, kinds in CLASSES.items()} == columns
    assert {kind for kinds in CLASSES.values() for kind in kinds.values()} == KINDS


def test_every_table_is_exported_or_says_why_not() -> None:
    assert EXPORTED | NOT_EXPORTED.keys() == CLASSES.keys()
    assert not EXPORTED & NOT_EXPORTED.keys()
    for name in NOT_EXPORTED:
        kinds = set(CLASSES[name].values())
        assert "content" not in kinds or name in {"idempotency_keys", "chunks"}
