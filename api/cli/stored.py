"""Keys and models in the database while nothing runs. Imported late: it brings SQLAlchemy."""

from typing import Any

from api.audit.record import record
from api.cli.installation import Installation
from api.db import keys, models
from api.db.offline import OfflineDatabase
from api.db.session import Unit
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

        async def add(unit: Unit) -> dict[str, Any]:
            row = await keys.add(unit, made, organization_id=DEFAULT_ORGANIZATION, **asked)
            await logged(unit, "key.create", made.id, permissions=asked["permissions"])
            return row

        return {**self._database.unit(add), "key": made.key}

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

        async def revoke(unit: Unit) -> bool:
            revoked = await keys.revoke(unit, DEFAULT_ORGANIZATION, key_id)
            if revoked:
                await logged(unit, "key.revoke", key_id)
            return revoked

        return self._database.exists() and self._database.unit(revoke)


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

        async def add(unit: Unit) -> bool:
            added = await models.add(unit, spec)
            if added:
                await logged(unit, "model.add", spec.model_name)
            return added

        return self._database.unit(add)

    def remove_added(self, name: str) -> bool:
        """Remove one that was added; False when there is none of that name."""

        async def remove(unit: Unit) -> bool:
            removed = await models.remove_added(unit, name)
            if removed:
                await logged(unit, "model.remove", name)
            return removed

        return self._database.exists() and self._database.unit(remove)


async def logged(unit: Unit, action: str, target: str, **details: Any) -> None:  # noqa: ANN401  any JSON
    """An entry of the audit log: whoever may read the secrets of the data directory did this."""
    await record(unit, None, action, organization_id=DEFAULT_ORGANIZATION, target=target, by="command", **details)


def database_at_any_time(installation: Installation) -> OfflineDatabase:
    """The installation's database, also while the stack runs: its embedded one is used beside it then."""
    url, running = installation.catalog.settings.database_url, None
    if url is None and installation.running() is not None:
        running = EmbeddedPostgres(installation.layout).urls
    return OfflineDatabase(installation.layout, url, running)


def database(installation: Installation) -> OfflineDatabase:
    """The installation's database."""
    return OfflineDatabase(installation.layout, installation.catalog.settings.database_url)
