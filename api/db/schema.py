"""The schema's version: what the code wants, what the database has, and how to get there.

Migrations run as the owner's role, under an advisory lock, in one transaction. No replica ever migrates.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.session import psycopg_url
from configs.errors import ConfigurationError, Unavailable

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x6D616E7461
"""Key of the advisory lock ("manta" in ASCII)."""
KNOWLEDGE = "0004"
AS_RELEASED = text(
    "select 1 from pg_attribute where attrelid = to_regclass('vector_store_files') and attname = 'notes'"
)
"""What the last change of `KNOWLEDGE` made, while no version with it was released."""
OUTDATED = (
    "the database was made by a development version whose vector stores have another form, which nothing brings along: "
    "start with an empty data directory (or an empty database of your own), or with a backup from before it"
)


def wanted() -> str:
    """The newest revision in this code."""
    head = ScriptDirectory(str(FOLDER)).get_current_head()
    assert head is not None
    return head


async def present(session: AsyncSession) -> str | None:
    """The revision of the database; None when it was never migrated."""
    exists = await session.scalar(text("select to_regclass('alembic_version')"))
    return await session.scalar(text("select version_num from alembic_version")) if exists else None


def known(revision: str) -> bool:
    """Whether this code has a revision of that name."""
    return revision in {script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()}


def upgrade(owner_url: str, revision: str = "head") -> tuple[str | None, str]:
    """Bring the database to a revision, else to `wanted()`; returns the revisions before and after.

    Raises:
        Unavailable: the database cannot be reached.
        ConfigurationError: its schema is one of a newer version, or of one that was never released.
    """
    engine = create_engine(psycopg_url(owner_url))
    try:
        with engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": LOCK})
            before = MigrationContext.configure(connection).get_current_revision()
            if before is not None and not known(before):
                raise ConfigurationError(f"the database has the schema {before!r} of a newer version: use that one")
            if before is not None and before >= KNOWLEDGE and connection.scalar(AS_RELEASED) is None:
                raise ConfigurationError(OUTDATED)
            config = Config()
            config.set_main_option("script_location", str(FOLDER))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            after = MigrationContext.configure(connection).get_current_revision()
    except OperationalError as error:
        raise Unavailable("The database cannot be reached.") from error
    finally:
        engine.dispose()
    assert after is not None
    return before, after
