import asyncio
import os
from pathlib import Path

import pytest

from api.db import data_keys
from api.db.notifications import listen
from api.db.session import Database
from api.scope import Scope
from api.vault.keys import DataKey, Owner, unwrap, wrap
from api.vault.memory import Memory
from api.vault.vault import Vault
from configs.errors import MantaError, Unavailable, Unreadable
from configs.keyring import Keyring, MasterKey
from configs.postgres import EmbeddedPostgres
from configs.seal import aad_of, open_sealed, seal
from tests.fixtures.database import query
from tests.fixtures.links import until

ANN = Owner("user", "user_ann", "default")
BEN = Owner("user", "user_ben", "default")
PLACE = aad_of("messages", "msg_1", "content", "default")


def scope_of(owner: Owner) -> Scope:
    return Scope(owner.organization_id, owner.id if owner.kind == "user" else "")


async def made(vault: Vault, database: Database, owner: Owner = ANN) -> DataKey:
    async with database.unit(scope_of(owner)) as session:
        return await vault.key_for(session, owner)


async def read(vault: Vault, database: Database, key_id: str, owner: Owner = ANN) -> DataKey:
    async with database.unit(scope_of(owner)) as session:
        return await vault.key(session, key_id)


async def destroyed(vault: Vault, jobs: Database, owner: Owner = ANN) -> list[str]:
    async with jobs.unit() as session:
        return await vault.destroy(session, owner)


async def test_a_key_is_made_once_and_opens_in_every_process(database: Database, keyring: Keyring) -> None:
    here, elsewhere = Vault(keyring), Vault(keyring)
    key = await made(here, database)
    assert await made(here, database) == key == await made(elsewhere, database)
    sealed = seal(key.key, b"hello", PLACE)
    assert open_sealed((await read(Vault(keyring), database, key.id)).key, sealed, PLACE) == b"hello"


async def test_the_database_holds_no_key(database: Database, keyring: Keyring, postgres: EmbeddedPostgres) -> None:
    key = await made(Vault(keyring), database)
    ((wrapped, master),) = query(postgres, "SELECT wrapped, master_key_id FROM data_keys")
    ((check,),) = query(postgres, "SELECT check_value FROM master_keys")
    assert master == keyring.active.id
    assert all(secret not in wrapped + check for secret in (key.key, keyring.active.key))


async def test_each_owner_has_a_key_of_its_own(database: Database, jobs: Database, keyring: Keyring) -> None:
    vault = Vault(keyring)
    query_owners = [ANN, BEN, Owner("organization", "default", "default"), Owner("team", ANN.id, "default")]
    async with jobs.unit() as session:
        keys = [await vault.key_for(session, owner) for owner in query_owners]
    assert len({key.key for key in keys}) == len({key.id for key in keys}) == 4


async def test_all_who_need_the_first_key_at_once_get_the_same(database: Database, keyring: Keyring) -> None:
    keys = await asyncio.gather(*(made(Vault(keyring), database) for _ in range(4)))
    assert len({key.id for key in keys}) == 1


async def test_a_key_that_was_rolled_back_is_not_used_again(database: Database, keyring: Keyring) -> None:
    vault, lost = Vault(keyring), list[DataKey]()

    async def fail() -> None:
        async with database.unit(scope_of(ANN)) as session:
            lost.append(await vault.key_for(session, ANN))
            assert await vault.key_for(session, ANN) == lost[0]
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    kept = await made(vault, database)
    assert kept.id != lost[0].id
    assert await read(Vault(keyring), database, kept.id) == kept


async def test_a_key_of_somebody_else_is_not_found(database: Database, keyring: Keyring) -> None:
    key = await made(Vault(keyring), database)
    with pytest.raises(Unreadable):
        await read(Vault(keyring), database, key.id, BEN)


async def test_a_destroyed_key_is_gone_here_at_once_and_elsewhere_when_it_is_told(
    database: Database, jobs: Database, keyring: Keyring, postgres: EmbeddedPostgres
) -> None:
    here, elsewhere = Vault(keyring), Vault(keyring)
    key = await made(here, database)
    assert await made(elsewhere, database) == key
    heard: list[str] = []

    def hear(channel: str) -> None:
        heard.append(channel)
        elsewhere.forget()

    task = asyncio.create_task(listen(postgres.urls.app_url, [data_keys.CHANNEL], hear))
    await until(lambda: len(heard) == 1)
    assert await made(elsewhere, database) == key
    assert await destroyed(here, jobs) == [key.id]
    await until(lambda: len(heard) == 2)
    task.cancel()
    await asyncio.wait({task})
    for vault in (here, elsewhere):
        with pytest.raises(Unreadable, match="destroyed"):
            await read(vault, database, key.id)
    assert (await made(here, database)).key != key.key
    assert await destroyed(here, jobs, BEN) == []


async def test_without_a_notification_a_destroyed_key_is_forgotten_when_it_is_stale(
    database: Database, jobs: Database, keyring: Keyring
) -> None:
    stale = Vault(keyring, Memory(fresh_s=-1.0))
    key = await made(stale, database)
    await destroyed(Vault(keyring), jobs)
    with pytest.raises(Unreadable):
        await read(stale, database, key.id)


async def test_with_two_masters_the_old_content_opens_and_the_new_takes_the_new_one(
    database: Database, keyring: Keyring, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    running = Vault(keyring)
    old = await made(running, database)
    fresh = Keyring.read(tmp_path / "master_keys").rotated().active
    await made(running, database, BEN)
    masters = dict(query(postgres, "SELECT owner_id, master_key_id FROM data_keys"))
    assert masters[BEN.id] == fresh.id != masters[ANN.id]
    assert await read(Vault(Keyring.read(tmp_path / "master_keys")), database, old.id) == old


async def test_a_wrapped_key_opens_in_its_own_row_only(
    database: Database, keyring: Keyring, postgres: EmbeddedPostgres
) -> None:
    key, other = await made(Vault(keyring), database), await made(Vault(keyring), database, BEN)
    query(
        postgres,
        "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE id = %s) WHERE id = %s",
        other.id,
        key.id,
    )
    with pytest.raises(Unreadable):
        await read(Vault(keyring), database, key.id)
    query(postgres, "UPDATE data_keys SET owner_id = 'moved' WHERE id = %s", other.id)
    with pytest.raises(Unreadable):
        await read(Vault(keyring), database, other.id, Owner("user", "moved", "default"))


def test_every_flipped_byte_of_a_wrapped_key_is_noticed() -> None:
    master, key = MasterKey.random(), os.urandom(32)
    wrapped = wrap(master, "dk_1", ANN, key)
    assert unwrap(master, "dk_1", ANN, wrapped).key == key
    wrong = [bytes(byte ^ (place == at) for place, byte in enumerate(wrapped)) for at in range(len(wrapped))]
    places = [("dk_2", ANN), ("dk_1", BEN), ("dk_1", Owner("team", ANN.id, "default"))]
    places.append(("dk_1", Owner("user", ANN.id, "other")))
    for changed in wrong:
        with pytest.raises(Unreadable):
            unwrap(master, "dk_1", ANN, changed)
    for key_id, owner in places:
        with pytest.raises(Unreadable):
            unwrap(master, key_id, owner, wrapped)
    with pytest.raises(Unreadable):
        unwrap(MasterKey(master.id, os.urandom(32)), "dk_1", ANN, wrapped)


async def test_without_the_keyring_nothing_opens_and_no_path_is_told(
    database: Database, keyring: Keyring, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = await made(Vault(keyring), database)
    lost = Vault(Keyring.at(tmp_path / "gone"))
    refused: list[MantaError] = []
    for work in (read(lost, database, key.id), made(lost, database, BEN)):
        with pytest.raises((Unreadable, Unavailable)) as caught:
            await work
        refused.append(caught.value)
    assert [type(error) for error in refused] == [Unreadable, Unavailable]
    assert not any(str(tmp_path) in error.message for error in refused)
    assert str(tmp_path / "gone") in caplog.text
