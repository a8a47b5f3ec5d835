"""An operator's own PostgreSQL: whether it answers, and whether it has the connections that Manta takes."""

from collections.abc import Iterator

from api.cli.checks.finding import Finding, fail, ok
from configs import connections
from configs.catalog import Catalog
from configs.errors import Unavailable

CHECK = "database"


def check(catalog: Catalog) -> Iterator[Finding]:
    """One finding; none for the embedded server, which is made large enough."""
    from api.db import room  # noqa: PLC0415  psycopg: a part of a second that `--help` need not pay

    url = catalog.settings.database_url
    if url is None:
        return
    needed = connections.needed(catalog.configuration)
    try:
        found = room.room(url.get_secret_value())
    except Unavailable:
        yield fail(CHECK, "the server of DATABASE_URL cannot be reached", "mend the network, the URL or its password")
        return
    if found < needed:
        fix = f"set max_connections to {needed + 10} or more, or lower ingress.num_replicas"
        yield fail(CHECK, f"it allows {found} connections and Manta takes up to {needed}", fix)
    else:
        yield ok(CHECK, f"it allows {found} connections; Manta takes up to {needed}")
