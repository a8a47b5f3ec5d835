"""An operator's own PostgreSQL: whether it answers, and whether it has the connections that Manta takes."""

from collections.abc import Iterator

from pydantic import SecretStr

from api.cli.checks.finding import Finding, fail, ok
from configs import connections
from configs.catalog import Catalog
from configs.errors import Unavailable

CHECK = "database"


def check(catalog: Catalog) -> Iterator[Finding]:
    """A finding for each server of the operator's; none for the embedded one, which is made large enough."""
    settings, configuration = catalog.settings, catalog.configuration
    if settings.database_url is not None:
        yield _look("DATABASE_URL", settings.database_url, connections.needed(configuration))
    if settings.database_read_url is not None:
        yield _look("DATABASE_READ_URL", settings.database_read_url, connections.reading(configuration))


def _look(name: str, url: SecretStr, needed: int) -> Finding:
    from api.db import room  # noqa: PLC0415  psycopg: a part of a second that `--help` need not pay

    try:
        found = room.room(url.get_secret_value())
    except Unavailable:
        return fail(CHECK, f"the server of {name} cannot be reached", "mend the network, the URL or its password")
    if found < needed:
        fix = f"set max_connections to {needed + 10} or more, or lower ingress.num_replicas"
        return fail(CHECK, f"the server of {name} allows {found} connections and Manta takes up to {needed}", fix)
    return ok(CHECK, f"the server of {name} allows {found} connections; Manta takes up to {needed}")
