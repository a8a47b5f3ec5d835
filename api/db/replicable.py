"""Why a server cannot be followed, in words for whoever can mend it. Asked as a role that sees every setting."""

from api.db import survey
from api.db.survey import Connection
from configs.postgres_settings import BACKUP

AGAIN = "restart Manta, which sets it"
LEVEL = "select setting from pg_settings where name = 'wal_level'"
SENDERS = """
    select current_setting('max_wal_senders')::int, count(*)::int, coalesce(string_agg(application_name, ', '), '')
    from pg_stat_replication
"""
SLOTS = """
    select current_setting('max_replication_slots')::int, count(*)::int,
           coalesce(string_agg(slot_name, ', ' order by slot_name) filter (where not active), '')
    from pg_replication_slots
"""
ROLE = "select rolreplication, rolcanlogin, rolconnlimit from pg_roles where rolname = %s"


def hindrance(url: str) -> str | None:
    """The first thing that stands in the way, with the way out; None when nothing is found.

    Raises:
        Unavailable: the server is away.
    """
    with survey.connected(url) as connection:
        return _level(connection) or _role(connection) or _senders(connection) or _slots(connection)


def _level(connection: Connection) -> str | None:
    (level,) = connection.execute(LEVEL).fetchone() or ("",)
    if level in {"replica", "logical"}:
        return None
    return f"PostgreSQL's wal_level is {level!r}, with which no log can be shipped: {AGAIN} to 'replica'"


def _role(connection: Connection) -> str | None:
    found = connection.execute(ROLE, (BACKUP,)).fetchone()
    if found is None:
        return f"there is no role {BACKUP} in PostgreSQL: restart Manta, which makes it"
    replicates, enters, limit = found
    if not replicates or not enters:
        return f"the role {BACKUP} may not replicate: restart Manta, which lets it"
    if limit == 0:
        return f"the role {BACKUP} may have no connection: ALTER ROLE {BACKUP} CONNECTION LIMIT -1"
    return None


def _senders(connection: Connection) -> str | None:
    most, taken, names = connection.execute(SENDERS).fetchone() or (0, 0, "")
    if most == 0:
        return f"PostgreSQL's max_wal_senders is 0: {AGAIN}"
    if taken < most:
        return None
    return f"all {most} of PostgreSQL's max_wal_senders are taken ({names}): end one of those"


def _slots(connection: Connection) -> str | None:
    most, taken, idle = connection.execute(SLOTS).fetchone() or (0, 0, "")
    if taken < most:
        return None
    return (
        f"all {most} of PostgreSQL's replication slots are taken (idle: {idle or 'none'}): drop what nobody needs with "
        "SELECT pg_drop_replication_slot('NAME')"
    )
