"""What a drill asks a second server beside counting: every lie and every missing key is told."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.audit.record import record
from api.backup import drill, proofs
from api.backup.manifest import PROOFS
from api.backup.proofs import Proofs
from api.backup.store import Store
from api.backup.take import take
from api.db import proofs as notes
from api.db.session import Database
from api.scope import Scope
from api.vault.keys import Owner
from api.vault.vault import Vault
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.fixtures.backups import keyring, source_of, store_in
from tests.fixtures.data_dirs import quick
from tests.fixtures.database import query

pytestmark = pytest.mark.timeout(120)

ORGANIZATION = "proven"


@pytest.fixture
def server(filled: EmbeddedPostgres, keys: Keyring) -> Iterator[EmbeddedPostgres]:
    """With an audit chain of four entries and a data key."""
    query(filled, "insert into organizations (id, name) values (%s, 'Proven') on conflict do nothing", ORGANIZATION)

    async def write() -> None:
        database, scope = Database(filled.urls.app_url, pool_size=1), Scope(ORGANIZATION)
        for number in range(4):
            async with database.unit(scope) as unit:
                await record(unit, None, "test.write", organization_id=ORGANIZATION, number=number)
        async with database.unit(scope) as unit:
            await Vault(keys).key_for(unit, Owner("organization", ORGANIZATION, ORGANIZATION))
        await database.close()

    asyncio.run(write())
    yield filled
    as_owner(filled, "delete from audit_log", "delete from audit_heads", "delete from data_keys")


def as_owner(server: EmbeddedPostgres, *statements: str) -> None:
    """Past the triggers."""
    query(server, "; ".join(["set session_replication_role = replica", *statements]))


def promised(server: EmbeddedPostgres) -> Proofs:
    return Proofs.of(notes.notes(server.root_url))


def test_a_database_that_is_as_it_was_keeps_all_promises(server: EmbeddedPostgres, keys: Keyring) -> None:
    noted = promised(server)
    assert {"filled", "audit_log", "data_keys", "users"} <= noted.samples.keys()
    assert noted.heads[ORGANIZATION][0] == 4
    assert proofs.check(server, noted, keys) == []


def test_first_rows_that_differ_are_told_by_table(server: EmbeddedPostgres, keys: Keyring) -> None:
    noted = promised(server)
    query(server, "update filled set words = words || '.' where id = 1")
    try:
        assert proofs.check(server, noted, keys) == ["the first rows of the table filled are not what they were"]
    finally:
        query(server, "update filled set words = rtrim(words, '.') where id = 1")
    assert proofs.check(server, noted, keys) == []


def test_rows_that_change_while_a_backup_is_taken_promise_nothing(server: EmbeddedPostgres) -> None:
    first = notes.notes(server.root_url)
    query(server, "update organizations set name = name || '.' where id = %s", ORGANIZATION)
    between = Proofs.between(first, notes.notes(server.root_url))
    assert "organizations" not in between.samples
    assert "filled" in between.samples
    assert between.heads == first.heads


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["update audit_log set details = '{}' where seq = 2"], "entries 2 to 2: its content does not fit its hash"),
        (["delete from audit_log where seq = 3"], "entries 3 to 3: it is missing"),
        (
            [
                "delete from audit_log where seq > 2",
                "update audit_heads set seq = 2, hash = (select hash from audit_log where seq = 2)",
            ],
            "entries 3 to 4: it is missing",
        ),
    ],
    ids=["edited", "deleted", "cut"],
)
def test_a_chain_that_was_touched_is_told(
    server: EmbeddedPostgres, keys: Keyring, statements: list[str], words: str
) -> None:
    noted = promised(server)
    where = f" and organization_id = '{ORGANIZATION}'"
    as_owner(server, *(each if "audit_heads" in each else each + where for each in statements))
    found = [problem for problem in proofs.check(server, noted, keys) if problem.startswith("audit log of")]
    assert found == [f"audit log of {ORGANIZATION}, {found[0].partition(', ')[2]}"]
    assert words in found[0]


def test_a_keyring_without_the_master_of_the_data_keys_is_told_with_the_way_out(
    server: EmbeddedPostgres, keys: Keyring, tmp_path: Path
) -> None:
    """The backup opens with the new master key, and the old one is lost: what it wraps could never be read."""
    old = keys.active.id
    keys.rotated()
    store = store_in(tmp_path / "target", keys)
    backup = take(store, source_of(server))
    keys.without(old)
    verdict = drill.verify(store, backup, Path(quick()))
    (problem,) = verdict.problems
    assert f"1 of 1 data keys are wrapped by the master key {old!r}, which" in problem
    assert problem.endswith("put its line back from your copy of the keyring")
    assert verdict.rows > 2000


def test_another_key_of_the_same_name_is_told(server: EmbeddedPostgres, keys: Keyring, tmp_path: Path) -> None:
    path, name = tmp_path / "others", keys.active.id
    other = keyring(tmp_path, "others")
    path.write_text(path.read_text().replace(other.active.id, name))
    (problem,) = proofs.data_keys(server, Proofs(), Keyring.read(path))
    assert f"1 of 1 data keys do not open with the master key {name!r}" in problem


def test_a_backup_without_proofs_is_still_proven(filled: EmbeddedPostgres, store: Store) -> None:
    backup = take(store, source_of(filled))
    older = backup.model_copy(update={"streams": {k: v for k, v in backup.streams.items() if k != PROOFS}})
    assert proofs.proofs_of(store, older) == Proofs()
    assert proofs.proofs_of(store, backup).samples["filled"]
    assert b"filled" not in b"".join(store.target.get(part.name) for part in backup.streams[PROOFS])
