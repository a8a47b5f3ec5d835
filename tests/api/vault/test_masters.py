import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.session import Database
from api.vault import masters
from api.vault.keys import DataKey, Owner
from api.vault.masters import check_masters, listed, retire, rewrap, settle_masters
from api.vault.vault import Vault
from configs.errors import ConfigurationError, Conflict
from configs.keyring import Keyring, MasterKey
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query

OWNERS = [Owner("user", f"user_{number}", "default") for number in range(5)]


async def filled(jobs: Database, keyring: Keyring) -> list[DataKey]:
    vault = Vault(keyring)
    async with jobs.unit() as session:
        return [await vault.key_for(session, owner) for owner in OWNERS]


async def opened(jobs: Database, keyring: Keyring) -> list[DataKey]:
    async with jobs.unit() as session:
        return [await Vault(keyring).key_for(session, owner) for owner in OWNERS]


async def settled(jobs: Database, keyring: Keyring) -> None:
    async with jobs.unit() as session:
        await settle_masters(session, keyring)


def under(postgres: EmbeddedPostgres) -> set[str]:
    return {master for (master,) in query(postgres, "SELECT master_key_id FROM data_keys")}


async def test_a_new_installation_gets_a_keyring_and_a_second_start_keeps_it(jobs: Database, tmp_path: Path) -> None:
    keyring = Keyring.at(tmp_path / "keys")
    await settled(jobs, keyring)
    made = Keyring.read(tmp_path / "keys").active
    await settled(jobs, Keyring.at(tmp_path / "keys"))
    assert Keyring.read(tmp_path / "keys").active == made


async def test_a_database_with_content_never_gets_a_new_keyring(
    jobs: Database, keyring: Keyring, tmp_path: Path
) -> None:
    await filled(jobs, keyring)
    with pytest.raises(ConfigurationError) as refused:
        await settled(jobs, Keyring.at(tmp_path / "gone"))
    assert keyring.active.id in refused.value.message
    assert str(tmp_path / "gone") in refused.value.message
    assert not (tmp_path / "gone").exists()


async def test_a_keyring_that_lacks_a_needed_key_is_refused(jobs: Database, keyring: Keyring, tmp_path: Path) -> None:
    await filled(jobs, keyring)
    other = Keyring.make(tmp_path / "other")
    with pytest.raises(ConfigurationError, match=f"has no key '{keyring.active.id}'"):
        await settled(jobs, other)


async def test_another_key_of_the_same_name_is_refused(jobs: Database, keyring: Keyring, tmp_path: Path) -> None:
    await settled(jobs, keyring)
    wrong = MasterKey(keyring.active.id, MasterKey.random().key)
    (tmp_path / "wrong").write_text(wrong.line)
    (tmp_path / "wrong").chmod(0o600)
    with pytest.raises(ConfigurationError, match="not the one that this database was encrypted with"):
        async with jobs.unit() as session:
            await check_masters(session, Keyring.read(tmp_path / "wrong"))


async def test_rotation_with_two_masters_alive_and_retirement(
    jobs: Database, keyring: Keyring, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masters, "BATCH", 2)
    keys, old = await filled(jobs, keyring), keyring.active
    fresh = keyring.rotated().active
    with pytest.raises(Conflict, match="5 data keys are still under"):
        await retire(jobs.unit, keyring, old.id)
    assert await opened(jobs, keyring) == keys
    walk = await rewrap(jobs.unit, keyring)
    assert (walk.done, walk.unreadable) == (5, [])
    assert under(postgres) == {fresh.id}
    assert await opened(jobs, keyring) == keys
    with pytest.raises(ConfigurationError, match="is the active one"):
        await retire(jobs.unit, keyring, fresh.id)
    await retire(jobs.unit, keyring, old.id)
    assert keyring.ids == (fresh.id,)
    assert query(postgres, "SELECT id FROM master_keys") == [(fresh.id,)]
    assert await opened(jobs, keyring) == keys
    with pytest.raises(ConfigurationError, match=f"has no key '{old.id}'"):
        await retire(jobs.unit, keyring, old.id)


async def test_a_walk_that_was_cut_short_is_finished_by_the_next(
    jobs: Database, keyring: Keyring, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masters, "BATCH", 2)
    keys = await filled(jobs, keyring)
    keyring.rotated()
    opened_units = 0

    @contextlib.asynccontextmanager
    async def cut_in_the_second() -> AsyncIterator[AsyncSession]:
        nonlocal opened_units
        opened_units += 1
        async with jobs.unit() as session:
            yield session
            if opened_units == 2:
                raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        await rewrap(cut_in_the_second, keyring)
    assert under(postgres) == set(keyring.ids)
    assert await opened(jobs, keyring) == keys
    assert (await rewrap(jobs.unit, keyring)).done == 3
    assert (await rewrap(jobs.unit, keyring)).done == 0
    assert await opened(jobs, keyring) == keys


async def test_what_no_key_opens_is_told_and_stays(
    jobs: Database, keyring: Keyring, postgres: EmbeddedPostgres
) -> None:
    damaged = (await filled(jobs, keyring))[1].id
    query(postgres, "UPDATE data_keys SET wrapped = '\\x0102' WHERE id = %s", damaged)
    old = keyring.active.id
    keyring.rotated()
    walk = await rewrap(jobs.unit, keyring)
    assert (walk.done, walk.unreadable) == (4, [damaged])
    with pytest.raises(Conflict, match="1 data keys"):
        await retire(jobs.unit, keyring, old)


async def test_retirement_waits_for_a_key_that_is_just_being_added(jobs: Database, keyring: Keyring) -> None:
    old = keyring.active.id
    async with jobs.unit() as session:
        await Vault(keyring).key_for(session, OWNERS[0])
        keyring.rotated()
        retiring = asyncio.create_task(retire(jobs.unit, keyring, old))
        done, _ = await asyncio.wait({retiring}, timeout=0.3)
        assert not done
    with pytest.raises(Conflict):
        await retiring


async def test_a_listing_tells_what_each_master_wraps(jobs: Database, keyring: Keyring, tmp_path: Path) -> None:
    await filled(jobs, keyring)
    old = keyring.active.id
    keyring.rotated()
    async with jobs.unit() as session:
        assert [tuple(row.values()) for row in await listed(session, keyring)] == [
            (keyring.active.id, "active", 0),
            (old, "old", 5),
        ]
        other = Keyring.make(tmp_path / "other")
        assert (await listed(session, other))[1] == {"id": old, "state": "missing", "data_keys": 5}
