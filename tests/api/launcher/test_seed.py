"""What every start writes into the database."""

from pathlib import Path

import pytest

from api.db import accounts, keys
from api.db.session import Database
from api.identity.accounts import FIRST_ADMIN
from api.identity.secrets import digest_of as digest_of_secret
from api.keys import digest_of, key_of
from api.launcher.seed import OPERATOR, seed
from api.launcher.welcome import first_admin_link
from api.scope import DEFAULT_ORGANIZATION, INSTALLATION
from configs.postgres import EmbeddedPostgres
from tests.fixtures.database import query

SECRET = "a-secret-of-this-test"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


async def test_a_start_makes_the_operators_key_known_once_and_a_revoked_one_stays_revoked(
    database: Database, postgres: EmbeddedPostgres, secrets: Path
) -> None:
    query(postgres, "DELETE FROM api_keys")
    digest = digest_of(key_of(SECRET).encode())
    for _ in range(2):
        await seed(postgres.urls.app_url, [], key_of(SECRET), secrets)
        async with database.unit(INSTALLATION) as session:
            (operator,) = await keys.all_living(session, DEFAULT_ORGANIZATION)
            assert (operator.name, operator.digest) == (OPERATOR, digest)
    async with database.unit(INSTALLATION) as session:
        assert await keys.revoke(session, DEFAULT_ORGANIZATION, operator.id)
    await seed(postgres.urls.app_url, [], key_of(SECRET), secrets)
    async with database.unit(INSTALLATION) as session:
        assert await keys.find(session, digest) is None


async def test_the_first_admins_link_is_there_until_there_is_an_owner(
    database: Database, postgres: EmbeddedPostgres, secrets: Path
) -> None:
    query(postgres, "DELETE FROM memberships WHERE organization_id = 'default'")
    links = set()
    for _ in range(2):
        await seed(postgres.urls.app_url, [], key_of(SECRET), secrets)
        links.add(first_admin_link(secrets))
    (link,) = links
    assert link is not None
    secret = link.partition("=")[2]
    async with database.unit(INSTALLATION) as unit:
        assert await accounts.use_token(unit, digest_of_secret(secret), FIRST_ADMIN)
    await seed(postgres.urls.app_url, [], key_of(SECRET), secrets)
    again = first_admin_link(secrets)
    assert again not in (None, link)
    query(postgres, "INSERT INTO users (id) VALUES ('user_first') ON CONFLICT DO NOTHING")
    query(postgres, "INSERT INTO memberships VALUES ('default', 'user_first', 'owner')")
    await seed(postgres.urls.app_url, [], key_of(SECRET), secrets)
    assert first_admin_link(secrets) is None
    query(postgres, "DELETE FROM memberships WHERE user_id = 'user_first'")
