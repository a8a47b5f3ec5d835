import json

import pytest
from sqlalchemy.exc import IntegrityError

from api.db import keys
from api.db.session import Database
from api.keys import NewKey, make_key
from api.scope import INSTALLATION
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import ORGANIZATION, kept_key, query


@pytest.fixture(autouse=True)
def empty(postgres: EmbeddedPostgres) -> None:
    query(postgres, "DELETE FROM api_keys")


async def found(database: Database, made: NewKey) -> bool:
    async with database.unit(INSTALLATION) as session:
        return await keys.find(session, made.digest) is not None


async def test_the_key_itself_is_nowhere(database: Database, postgres: EmbeddedPostgres) -> None:
    made = await kept_key(database, "inference")
    ((row,),) = query(postgres, "SELECT to_jsonb(api_keys)::text FROM api_keys")
    assert made.key[11:] not in row
    async with database.unit(INSTALLATION) as session:
        (listed,) = await keys.all_living(session, ORGANIZATION)
    told = json.dumps(keys.as_json(listed))
    assert made.prefix in told
    assert made.key not in told
    assert made.digest.hex() not in told


async def test_a_key_lives_until_it_is_revoked(database: Database) -> None:
    made = await kept_key(database, "*")
    assert await found(database, made)
    assert not await found(database, make_key())
    async with database.unit(INSTALLATION) as session:
        assert not await keys.revoke(session, "another organization", made.id)
        assert await keys.revoke(session, ORGANIZATION, made.id)
        assert not await keys.revoke(session, ORGANIZATION, made.id)
        assert await keys.all_living(session, ORGANIZATION) == []
    assert not await found(database, made)


async def test_a_key_lives_until_it_expires(database: Database, postgres: EmbeddedPostgres) -> None:
    made = await kept_key(database, "*", expires_in_s=3600)
    assert await found(database, made)
    query(postgres, "UPDATE api_keys SET expires_at = now() - interval '1 second'")
    assert not await found(database, made)


async def test_a_digest_stands_once(database: Database) -> None:
    made = await kept_key(database, "*")
    again = NewKey("key_2", made.key, made.digest, made.prefix)
    async with database.unit(INSTALLATION) as session:
        with pytest.raises(IntegrityError):
            await keys.add(session, again, organization_id=ORGANIZATION, name="again", permissions=["*"])
        await session.rollback()


async def test_keys_are_listed_oldest_first(database: Database) -> None:
    made = [await kept_key(database, "*") for _ in range(3)]
    async with database.unit(INSTALLATION) as session:
        assert [each.id for each in await keys.all_living(session, ORGANIZATION)] == [each.id for each in made]
