"""Master keys against the database: whether the keyring is the right one, and how a new one takes over.

Two masters live meanwhile: new data keys and what is wrapped again take the first of the keyring, the rest still opens
with the others. A master that wraps nothing any more can be retired. All of it works beside a running stack.
"""

import hmac
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from api.db import data_keys
from api.db.session import Unit
from api.vault.keys import check_value, unwrap, wrap
from api.vault.vault import owner_of
from configs.errors import ConfigurationError, Conflict, Unreadable
from configs.keyring import Keyring

log = logging.getLogger(__name__)

BATCH = 500

Units = Callable[[], AbstractAsyncContextManager[Unit]]
"""Opens a unit of work that sees every tenant's data keys."""


async def settle_masters(session: Unit, keyring: Keyring) -> None:
    """`check_masters`, for a start: a missing keyring is made if no content needs one yet, and else never.

    Raises:
        ConfigurationError: see `check_masters`.
    """
    if not await data_keys.needed_masters(session):
        keyring.make_missing()
    await check_masters(session, keyring)


async def check_masters(session: Unit, keyring: Keyring) -> None:
    """Insist that the keyring opens what the database holds, and make its keys known there.

    `session` must see every data key (`manta_jobs`).

    Raises:
        ConfigurationError: the keyring cannot be read, lacks a key that the database needs, or holds another key of
            that name.
    """
    needed, known = await data_keys.needed_masters(session), await data_keys.check_values(session)
    for master_id in needed:
        _refuse_missing(keyring, master_id)
    masters = [keyring.get(master_id) for master_id in keyring.ids]
    for master in masters:
        if not hmac.compare_digest(known.get(master.id, check_value(master)), check_value(master)):
            msg = (
                f"{keyring.place} has a key {master.id!r}, but not the one that this database was encrypted with: "
                "put the right keyring back from your copy of it"
            )
            raise ConfigurationError(msg)
    await data_keys.add_checks(session, {master.id: check_value(master) for master in masters})


def _refuse_missing(keyring: Keyring, master_id: str) -> None:
    try:
        keyring.get(master_id)
    except ConfigurationError as error:
        msg = f"this database holds content under the master key {master_id!r}: {error.message}"
        raise ConfigurationError(msg) from error


@dataclass
class Rewrapped:
    """What a walk over the data keys did."""

    done: int = 0
    unreadable: list[str] = field(default_factory=list)
    """Ids of data keys that no key of the ring opens; they stay as they are."""


async def rewrap(units: Units, keyring: Keyring) -> Rewrapped:
    """Bring every data key under the active master. A walk that was cut short is finished by the next one.

    Raises:
        ConfigurationError: the keyring cannot be read, or lacks a master key that wraps something.
        Unavailable: the database cannot be reached.
    """
    master, walk, last = keyring.active, Rewrapped(), ""
    while True:
        async with units() as session:
            await data_keys.add_checks(session, {master.id: check_value(master)})
            rows = await data_keys.not_under(session, master.id, last, BATCH)
            for row in rows:
                last, owner = row.id, owner_of(row)
                try:
                    key = unwrap(keyring.get(row.master_key_id), row.id, owner, row.wrapped)
                except Unreadable:
                    walk.unreadable.append(row.id)
                    continue
                await data_keys.rewrap(session, row.id, master.id, wrap(master, row.id, owner, key.key))
                walk.done += 1
        if len(rows) < BATCH:
            return walk


async def retire(units: Units, keyring: Keyring, master_id: str) -> None:
    """Take a master key that wraps nothing out of the database, and out of a keyring that is a file.

    Raises:
        ConfigurationError: it is the active one, or the keyring does not have it or cannot be written.
        Conflict: data keys are still under it.
    """
    keyring.get(master_id)
    if master_id == keyring.active.id:
        msg = f"the master key {master_id!r} is the active one of {keyring.place}: rotate first"
        raise ConfigurationError(msg)
    async with units() as session:
        await data_keys.hold_still(session)
        left = (await data_keys.users_of_masters(session)).get(master_id, 0)
        if left:
            raise Conflict(f"{left} data keys are still under the master key {master_id!r}.")
        await data_keys.forget_masters(session, [master_id])
    if keyring.is_file:
        keyring.without(master_id)


async def listed(session: Unit, keyring: Keyring) -> list[dict[str, Any]]:
    """Each master key that the keyring has or the database needs, with how many data keys it wraps."""
    used, ids = await data_keys.users_of_masters(session), keyring.ids
    return [
        {"id": each, "state": _state(each, ids), "data_keys": used.get(each, 0)}
        for each in [*ids, *sorted(used.keys() - set(ids))]
    ]


def _state(master_id: str, ids: tuple[str, ...]) -> str:
    if master_id not in ids:
        return "missing"
    return "active" if master_id == ids[0] else "old"
