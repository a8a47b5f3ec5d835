"""Master keys and the data keys under them, while the stack runs or not. Imported late: it brings SQLAlchemy."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from api.cli.installation import Installation
from api.cli.stored import database_at_any_time, logged
from api.db.session import Database
from api.vault import masters
from configs.errors import ConfigurationError
from configs.keyring import Keyring

Result = TypeVar("Result")


class StoredSecrets:
    """The database of an installation, and the keyring that opens it."""

    def __init__(self, installation: Installation, keyring: Keyring) -> None:
        self.keyring = keyring
        self._database = database_at_any_time(installation)

    def listed(self) -> list[dict[str, Any]]:
        """Each master key with its state and how many data keys it wraps.

        Raises:
            ConfigurationError: there is no database yet, or the keyring cannot be read.
        """

        async def work(database: Database) -> list[dict[str, Any]]:
            async with database.unit() as session:
                return await masters.listed(session, self.keyring)

        return self._work(work)

    def turn(self, *, fresh: bool, retire: str | None) -> masters.Rewrapped:
        """Put a new key in front (`fresh`; a command has its new key already), bring every data key under the active
        key, and take an old key out.

        Raises:
            ConfigurationError: the keyring is not the one of this database or cannot be written, or the key to retire
                is the active one or unknown.
            Conflict: data keys are still under the key to retire.
        """

        async def work(database: Database) -> masters.Rewrapped:
            async with database.unit() as session:
                await masters.check_masters(session, self.keyring)
            if fresh and self.keyring.is_file:
                self.keyring.rotated()
            walk = await masters.rewrap(database.unit, self.keyring)
            if retire is None:
                async with database.unit() as session:
                    await logged(session, "secret.rotate", self.keyring.active.id, ring="master", wrapped=walk.done)
            else:
                await masters.retire(database.unit, self.keyring, retire)
                async with database.unit() as session:
                    await logged(session, "secret.retire", retire, ring="master")
            return walk

        return self._work(work)

    def noted(self, action: str, key_id: str) -> None:
        """Tell the audit log what was done to the keys for tokens. Errors as `listed`."""

        async def work(database: Database) -> None:
            async with database.unit() as session:
                await logged(session, action, key_id, ring="tokens")

        self._work(work)

    def _work(self, work: Callable[[Database], Awaitable[Result]]) -> Result:
        if not self._database.exists():
            msg = "there is no database yet: `manta serve` makes one, or DATABASE_URL names one of yours"
            raise ConfigurationError(msg)
        return self._database.as_jobs(work)
