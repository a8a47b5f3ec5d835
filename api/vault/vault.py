"""The vault: a data key for each owner, wrapped by a master key that the database never sees.

    keyring: master key  --opens-->  data_keys.wrapped: data key  --opens-->  content (configs.seal)

What is private belongs to a person, what is shared to a team or an organization. Destroying the row destroys the key,
and with it the content, wherever copies of it lie. The vault does not know what is sealed.
"""

import asyncio
import logging
import time

from api.db import data_keys
from api.db.session import Unit
from api.db.tables import DataKey as Row
from api.ids import new_id
from api.vault.keys import DataKey, Owner, check_value, fresh_key, unwrap, wrap
from api.vault.memory import Memory
from configs.errors import ConfigurationError, Unavailable, Unreadable
from configs.keyring import Keyring, MasterKey

log = logging.getLogger(__name__)

OWN = "manta.own_data_keys"
"""Where a session notes the keys that it made: until it commits, nobody may rely on them."""
TRIES = 3
DESTROYED = "The key of this content was destroyed."


class Vault:
    """Data keys, for the units of work of one process."""

    def __init__(self, keyring: Keyring, memory: Memory | None = None) -> None:
        self._keyring = keyring
        self._memory = Memory() if memory is None else memory

    async def key_for(self, session: Unit, owner: Owner) -> DataKey:
        """The key that seals what belongs to `owner` now; it is made at the first use, in this unit of work.

        Raises:
            Unreadable: the key cannot be unwrapped.
            Unavailable: the owner's key is being destroyed, or the master keys are just being changed.
        """
        known = self._memory.of(owner)
        if known is not None:
            return known
        for _ in range(TRIES):
            found = await self._find(session, owner)
            if found is not None:
                return found
            await self._make(session, owner)
        raise Unavailable("The key of this content is being changed.", retry_after_s=2.0)

    async def key(self, session: Unit, key_id: str) -> DataKey:
        """The key that a row names.

        Raises:
            Unreadable: it was destroyed, belongs to somebody whom this unit of work is not for, or cannot be unwrapped.
        """
        known = self._memory.get(key_id)
        if known is not None:
            return known
        read_at, changes = time.monotonic(), self._memory.changes
        row = await data_keys.get(session, key_id)
        if row is None:
            raise Unreadable(DESTROYED)
        return await self._opened(session, row, read_at, changes)

    async def check(self, session: Unit, key: DataKey) -> None:
        """For what took long: ask the database, not the memory, whether a key is still there.

        Raises:
            Unreadable: it was destroyed.
        """
        if await data_keys.get(session, key.id) is None:
            raise Unreadable(DESTROYED)

    def forget(self, owner: Owner | None = None) -> None:
        """An owner's key was destroyed, or (without `owner`) any: read them again."""
        self._memory.forget(owner)

    async def destroy(self, session: Unit, owner: Owner) -> list[str]:
        """Destroy an owner's key; the ids, for the record. Every process forgets it when this unit of work commits."""
        gone = await data_keys.delete(session, owner.organization_id, owner.kind, owner.id)
        self.forget(owner)
        return gone

    async def _find(self, session: Unit, owner: Owner) -> DataKey | None:
        read_at, changes = time.monotonic(), self._memory.changes
        row = await data_keys.find(session, owner.organization_id, owner.kind, owner.id)
        return None if row is None else await self._opened(session, row, read_at, changes)

    async def _opened(self, session: Unit, row: Row, read_at: float, changes: int) -> DataKey:
        owner = owner_of(row)
        key = unwrap(await self._master(row.master_key_id), row.id, owner, row.wrapped)
        if row.id not in session.info.get(OWN, ()):
            self._memory.keep(owner, key, read_at, changes)
        return key

    async def _make(self, session: Unit, owner: Owner) -> None:
        master = await self._active()
        row = wrapped_row(master, owner, fresh_key())
        await data_keys.add_checks(session, {master.id: check_value(master)})
        session.info.setdefault(OWN, set()).add(row.id)
        await data_keys.add(session, row)
        if (await self._active()).id != master.id:  # rotated since: a retirement may have counted before this one
            raise Unavailable("The master keys are just being changed.", retry_after_s=1.0)

    async def _active(self) -> MasterKey:
        try:
            return await asyncio.to_thread(lambda: self._keyring.active)
        except ConfigurationError as error:
            log.error("nothing can be encrypted: %s", error.message)  # noqa: TRY400  the message says it all
            raise Unavailable("The encryption keys of this installation cannot be read.") from error

    async def _master(self, master_id: str) -> MasterKey:
        try:
            if self._keyring.knows(master_id):
                return self._keyring.get(master_id)
            return await asyncio.to_thread(self._keyring.get, master_id)
        except ConfigurationError as error:
            log.error("content cannot be read: %s", error.message)  # noqa: TRY400
            raise Unreadable("Stored content cannot be decrypted: its master key is missing.") from error


def owner_of(row: Row) -> Owner:
    """Whose key a row is."""
    return Owner(row.owner_kind, row.owner_id, row.organization_id)  # type: ignore[arg-type]  # the table's check


def wrapped_row(master: MasterKey, owner: Owner, key: bytes) -> Row:
    """The row of a new data key."""
    key_id = new_id("dk")
    return Row(
        id=key_id,
        organization_id=owner.organization_id,
        owner_kind=owner.kind,
        owner_id=owner.id,
        master_key_id=master.id,
        wrapped=wrap(master, key_id, owner, key),
    )
