"""Whether a server has the connections that an installation takes."""

import psycopg

from configs.errors import ConfigurationError, Unavailable

CONNECT_TIMEOUT_S = 5
ROOM = """
SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END)::int FROM pg_settings
WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""


def room(url: str) -> int:
    """Connections that this account may have at once, if nobody else has any.

    Raises:
        Unavailable: the database cannot be reached.
    """
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S, application_name="manta command") as connection:
            (found,) = connection.execute(ROOM).fetchone() or (0,)
            (own,) = connection.execute(
                "SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user"
            ).fetchone() or (-1,)
            return int(found) if own < 0 else min(int(found), int(own))
    except psycopg.OperationalError as error:
        raise Unavailable("The database cannot be reached.") from error


def check(url: str, needed: int) -> None:
    """Refuse a server that is too small.

    Raises:
        ConfigurationError: it names both numbers and the ways out.
        Unavailable: see `room`.
    """
    found = room(url)
    if found < needed:
        raise ConfigurationError(
            f"Manta takes up to {needed} connections and PostgreSQL allows {found}: set its max_connections to"
            f" {needed + 10} or more (or the role's CONNECTION LIMIT), or lower ingress.num_replicas"
        )
