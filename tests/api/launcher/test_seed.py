"""What every start writes into the database."""

from api.db import keys
from api.db.session import Database
from api.keys import digest_of, key_of
from api.launcher.seed import OPERATOR, seed
from api.scope import DEFAULT_ORGANIZATION, INSTALLATION
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query

SECRET = "a-secret-of-this-test"


async def test_a_start_makes_the_operators_key_known_once_and_a_revoked_one_stays_revoked(
    database: Database, postgres: EmbeddedPostgres
) -> None:
    query(postgres, "DELETE FROM api_keys")
    digest = digest_of(key_of(SECRET).encode())
    for _ in range(2):
        await seed(postgres.urls.app_url, [], SECRET)
        async with database.unit(INSTALLATION) as session:
            (operator,) = await keys.all_living(session, DEFAULT_ORGANIZATION)
            assert (operator.name, operator.digest) == (OPERATOR, digest)
    async with database.unit(INSTALLATION) as session:
        assert await keys.revoke(session, DEFAULT_ORGANIZATION, operator.id)
    await seed(postgres.urls.app_url, [], SECRET)
    async with database.unit(INSTALLATION) as session:
        assert await keys.find(session, digest) is None
