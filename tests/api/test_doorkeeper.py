import asyncio
from typing import Any

import psycopg
import pytest

from api import doorkeeper as module
from api.db import keys
from api.db.session import Database
from api.doorkeeper import MAX_KEY_BYTES, Doorkeeper, check, presented, principal_of_session
from api.keys import make_key
from api.principal import Permission
from api.scope import INSTALLATION
from configs.errors import Forbidden, SecondFactorMissing, TwoFactorSetupRequired, Unauthorized, Unavailable
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import ORGANIZATION, bring_back, kept_key, query
from tests.fixtures.links import until
from tests.fixtures.sessions import TOKENS

INFERENCE, KEYS_WRITE = Permission.INFERENCE, Permission.KEYS_WRITE


def scope(key: str) -> dict[str, Any]:
    return {"headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {key}".encode())]}


async def revoke(database: Database, key_id: str) -> None:
    async with database.unit(INSTALLATION) as session:
        assert await keys.revoke(session, ORGANIZATION, key_id)


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
def test_a_key_is_read_from_its_header(scheme: bytes) -> None:
    assert presented([(b"x", b"y"), (b"authorization", scheme + b" sk-abc")]) == b"sk-abc"


REFUSED = {
    "no scheme": [b"sk-abc"],
    "basic": [b"Basic sk-abc"],
    "another prefix": [b"Bearer pk-abc"],
    "nothing": [b""],
    "no key": [b"Bearer "],
    "two spaces": [b"Bearer  sk-abc"],
    "two headers": [b"Bearer sk-abc", b"Bearer sk-abc"],
    "too long": [b"Bearer sk-" + b"x" * (MAX_KEY_BYTES - 2)],
}


@pytest.mark.parametrize("values", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_a_key_is_refused(values: list[bytes]) -> None:
    with pytest.raises(Unauthorized) as raised:
        presented([(b"authorization", value) for value in values])
    assert "abc" not in raised.value.message


def test_the_longest_key_is_read_and_none_at_all_is_told_apart() -> None:
    longest = b"sk-" + b"x" * (MAX_KEY_BYTES - 3)
    assert presented([(b"authorization", b"Bearer " + longest)]) == longest
    with pytest.raises(Unauthorized, match="No API key"):
        presented([(b"host", b"localhost")])


async def test_a_good_key_tells_its_owner(database: Database) -> None:
    made = await kept_key(database, "inference")
    principal = await Doorkeeper(database, TOKENS).admit(scope(made.key), INFERENCE)
    assert (principal.key_id, principal.organization_id) == (made.id, ORGANIZATION)


async def test_a_key_opens_what_it_holds_only(database: Database) -> None:
    doorkeeper = Doorkeeper(database, TOKENS)
    narrow, wide = await kept_key(database, "inference"), await kept_key(database, "*")
    with pytest.raises(Forbidden, match="keys:write"):
        await doorkeeper.admit(scope(narrow.key), KEYS_WRITE)
    await doorkeeper.admit(scope(wide.key), KEYS_WRITE)


async def test_an_unknown_key_is_refused_each_time(database: Database) -> None:
    doorkeeper = Doorkeeper(database, TOKENS)
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await doorkeeper.admit(scope(make_key().key), INFERENCE)


async def test_a_revoked_key_is_refused_once_it_is_forgotten(database: Database) -> None:
    doorkeeper, made = Doorkeeper(database, TOKENS), await kept_key(database, "inference")
    await doorkeeper.admit(scope(made.key), INFERENCE)
    await revoke(database, made.id)
    doorkeeper.forget()
    with pytest.raises(Unauthorized):
        await doorkeeper.admit(scope(made.key), INFERENCE)


async def test_a_revoked_key_is_noticed_without_a_word(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    doorkeeper, made = Doorkeeper(database, TOKENS), await kept_key(database, "inference")
    await doorkeeper.admit(scope(made.key), INFERENCE)
    await revoke(database, made.id)
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    with pytest.raises(Unauthorized):
        await doorkeeper.admit(scope(made.key), INFERENCE)


async def test_what_was_read_before_a_change_is_not_kept(database: Database, postgres: EmbeddedPostgres) -> None:
    doorkeeper, made = Doorkeeper(database, TOKENS), await kept_key(database, "inference")
    async with await psycopg.AsyncConnection.connect(postgres.urls.owner_url) as other:
        await other.execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
        asking = asyncio.create_task(doorkeeper.admit(scope(made.key), INFERENCE))
        await until(lambda: bool(query(postgres, "SELECT pid FROM pg_locks WHERE NOT granted")))
        doorkeeper.forget()
    await asking
    assert doorkeeper._known == {}


async def test_an_expired_key_is_refused_though_it_is_remembered(
    database: Database, postgres: EmbeddedPostgres
) -> None:
    doorkeeper, made = Doorkeeper(database, TOKENS), await kept_key(database, "inference", expires_in_s=60)
    await doorkeeper.admit(scope(made.key), INFERENCE)
    query(postgres, "UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = %s", made.id)
    ((digest, known),) = doorkeeper._known.items()
    assert known.ends_at - known.read_at <= 60
    doorkeeper._known[digest] = module.Known(known.principal, known.read_at, known.read_at)
    with pytest.raises(Unauthorized):
        await doorkeeper.admit(scope(made.key), INFERENCE)


async def test_keys_in_use_are_read_again_many_at_a_time(
    database: Database, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    doorkeeper = Doorkeeper(database, TOKENS)
    used, revoked, idle = [await kept_key(database, "inference") for _ in range(3)]
    for made in (used, revoked, idle, used, revoked):
        await doorkeeper.admit(scope(made.key), INFERENCE)
    before = {digest: known.read_at for digest, known in doorkeeper._known.items()}
    await doorkeeper.renew()
    assert before == {digest: known.read_at for digest, known in doorkeeper._known.items()}  # young yet
    query(postgres, "UPDATE api_keys SET revoked_at = now() WHERE id = %s", revoked.id)
    monkeypatch.setattr(module, "RENEW_S", 0.0)
    monkeypatch.setattr(module, "RENEWED_AT_ONCE", 1)
    await doorkeeper.renew()
    after = {digest: known.read_at for digest, known in doorkeeper._known.items()}
    assert after.keys() == {used.digest, idle.digest}
    assert after[used.digest] > before[used.digest]
    assert after[idle.digest] == before[idle.digest]
    await doorkeeper.renew()
    assert after == {digest: known.read_at for digest, known in doorkeeper._known.items()}  # not used since


async def test_keys_in_use_that_were_forgotten_are_read_again_together(database: Database) -> None:
    doorkeeper, made = Doorkeeper(database, TOKENS), await kept_key(database, "inference")
    revoked = await kept_key(database, "inference")
    for each in (made, revoked) * 2:
        await doorkeeper.admit(scope(each.key), INFERENCE)
    await revoke(database, revoked.id)
    doorkeeper.forget()
    assert doorkeeper._known == {}
    await doorkeeper.renew()
    assert list(doorkeeper._known) == [made.digest]


async def test_what_is_renewed_while_something_changed_is_not_kept(
    database: Database, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.0)
    doorkeeper, made = Doorkeeper(database, TOKENS), await kept_key(database, "inference")
    for _ in range(2):
        await doorkeeper.admit(scope(made.key), INFERENCE)
    async with await psycopg.AsyncConnection.connect(postgres.urls.owner_url) as other:
        await other.execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
        renewing = asyncio.create_task(doorkeeper.renew())
        await until(lambda: bool(query(postgres, "SELECT pid FROM pg_locks WHERE NOT granted")))
        doorkeeper.forget()
    await renewing
    assert doorkeeper._known == {}


async def test_no_key_is_held_in_memory(database: Database) -> None:
    doorkeeper, made = Doorkeeper(database, TOKENS), await kept_key(database, "inference")
    await doorkeeper.admit(scope(made.key), INFERENCE)
    assert made.key[3:] not in repr(vars(doorkeeper))
    assert list(doorkeeper._known) == [made.digest]


async def test_the_memory_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 2)
    doorkeeper = Doorkeeper(database, TOKENS)
    for _ in range(5):
        await doorkeeper.admit(scope((await kept_key(database, "*")).key), INFERENCE)
        assert len(doorkeeper._known) <= 2


async def test_known_keys_go_on_while_the_database_is_down(
    database: Database, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    doorkeeper = Doorkeeper(database, TOKENS)
    known, unknown = await kept_key(database, "inference"), await kept_key(database, "inference")
    await doorkeeper.admit(scope(known.key), INFERENCE)
    await asyncio.to_thread(postgres.stop)
    try:
        assert (await doorkeeper.admit(scope(known.key), INFERENCE)).key_id == known.id
        with pytest.raises(Unavailable):
            await doorkeeper.admit(scope(unknown.key), INFERENCE)
        monkeypatch.setattr(module, "FRESH_S", 0.0)
        assert (await doorkeeper.admit(scope(known.key), INFERENCE)).key_id == known.id
        monkeypatch.setattr(module, "OUTAGE_S", 0.0)
        with pytest.raises(Unavailable):
            await doorkeeper.admit(scope(known.key), INFERENCE)
    finally:
        await asyncio.to_thread(bring_back, postgres)
    for made in (known, unknown):
        assert (await doorkeeper.admit(scope(made.key), INFERENCE)).key_id == made.id


PASSWORD, PROVIDER = ["password"], ["oidc:example"]
SECOND_FACTOR = {
    "none, and none needed": (False, False, False, PASSWORD, None),
    "none, and needed": (True, False, False, PASSWORD, TwoFactorSetupRequired),
    "an app that was asked": (True, True, True, ["password", "totp"], None),
    "a recovery code": (False, True, True, ["password", "recovery_code"], None),
    "an app, and a provider that did not ask it": (False, True, True, PROVIDER, SecondFactorMissing),
    "an app that was set up in another session": (True, True, True, PASSWORD, SecondFactorMissing),
    "a passkey, and a password will do": (False, True, False, PASSWORD, None),
    "a passkey, and a password will not do": (True, True, False, PASSWORD, SecondFactorMissing),
    "a passkey that was used": (True, True, True, ["passkey"], None),
    "one that was removed since": (True, False, False, ["passkey"], TwoFactorSetupRequired),
}


@pytest.mark.parametrize(("required", "has", "app", "methods", "error"), SECOND_FACTOR.values(), ids=SECOND_FACTOR)
def test_a_session_shows_the_second_factor(
    required: bool, has: bool, app: bool, methods: list[str], error: type[Forbidden] | None
) -> None:
    found = {
        "session_id": "s", "user_id": "u", "organization_id": "default", "ended": False, "status": "active",
        "role": "member", "role_permissions": None, "methods": methods, "totp": app, "two_factor": has,
        "two_factor_required": required,
    }  # fmt: skip
    principal = principal_of_session(found)
    assert principal is not None
    assert check(principal, Permission.ACCOUNT) is principal
    if error is None:
        assert check(principal, INFERENCE) is principal
        return
    with pytest.raises(error):
        check(principal, INFERENCE)
