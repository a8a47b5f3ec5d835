"""Keys and models in the database while nothing runs. Imported late: it brings SQLAlchemy."""

from typing import Any

from api.cli.installation import Installation
from api.db import keys, models
from api.db.offline import OfflineDatabase
from api.keys import make_key
from api.scope import DEFAULT_ORGANIZATION
from configs.postgres import EmbeddedPostgres
from configs.specs import ModelSpec


class StoredKeys:
    """The keys of an installation."""

    def __init__(self, installation: Installation) -> None:
        self._database = database(installation)

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Make a key; its row, and the key itself."""
        made = make_key()
        row = self._database.unit(
            lambda session: keys.add(session, made, organization_id=DEFAULT_ORGANIZATION, **asked)
        )
        return {**row, "key": made.key}

    def listed(self) -> list[dict[str, Any]]:
        """The keys that were not revoked."""
        if not self._database.exists():
            return []
        return [
            keys.as_json(row)
            for row in self._database.unit(lambda session: keys.all_living(session, DEFAULT_ORGANIZATION))
        ]

    def revoke(self, key_id: str) -> bool:
        """Revoke; False when there is no such key."""
        if not self._database.exists():
            return False
        return self._database.unit(lambda session: keys.revoke(session, DEFAULT_ORGANIZATION, key_id))


class StoredModels:
    """The models that the next start will serve beside the file's."""

    def __init__(self, installation: Installation) -> None:
        self._database = database(installation)

    def added(self) -> list[ModelSpec]:
        """Those that were added by command or API."""
        if not self._database.exists():
            return []
        return self._database.unit(models.added)

    def add(self, spec: ModelSpec) -> bool:
        """Add one; False when the name is taken."""
        return self._database.unit(lambda session: models.add(session, spec))

    def remove_added(self, name: str) -> bool:
        """Remove one that was added; False when there is none of that name."""
        return self._database.exists() and self._database.unit(lambda session: models.remove_added(session, name))


def database_at_any_time(installation: Installation) -> OfflineDatabase:
    """The installation's database, also while the stack runs: its embedded one is used beside it then."""
    url, running = installation.catalog.settings.database_url, None
    if url is None and installation.running() is not None:
        running = EmbeddedPostgres(installation.layout).urls
    return OfflineDatabase(installation.layout, url, running)


def database(installation: Installation) -> OfflineDatabase:
    """The installation's database."""
    return OfflineDatabase(installation.layout, installation.catalog.settings.database_url)
