"""What every start writes into the database."""

import os
from pathlib import Path

import pytest

from api.db import accounts, keys
from api.db.session import JOBS_ROLE, Database
from api.identity.newcomers import FIRST_ADMIN
from api.identity.secrets import digest_of as digest_of_secret
from api.keys import digest_of, key_of
from api.launcher.launcher import SEED
from api.launcher.modules import Modules
from api.launcher.seed import OPERATOR, check_replica, seed, settle
from api.launcher.welcome import first_admin_link
from api.scope import DEFAULT_ORGANIZATION, INSTALLATION
from api.vault.keys import Owner
from api.vault.vault import Vault
from configs.datadir import Layout
from configs.errors import ConfigurationError
from configs.keyring import Keyring
from configs.postgres import EmbeddedPostgres
from tests.architecture.tracked import ROOT
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


async def test_a_start_makes_the_keyring_once_and_refuses_to_go_on_without_it(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    for table in ("data_keys", "master_keys"):
        query(postgres, f"DELETE FROM {table}")
    path = tmp_path / "master_keys"
    for _ in range(2):
        await settle(postgres.urls.jobs_url, Keyring.at(path))
    keyring = Keyring.read(path)
    jobs = Database(postgres.urls.jobs_url, role=JOBS_ROLE)
    async with jobs.unit() as session:
        await Vault(keyring).key_for(session, Owner("user", "user_1", DEFAULT_ORGANIZATION))
    await jobs.close()
    path.rename(tmp_path / "away")
    with pytest.raises(ConfigurationError, match="missing: put it back"):
        await settle(postgres.urls.jobs_url, Keyring.at(path))
    assert not path.exists()
    query(postgres, "DELETE FROM data_keys")


async def test_a_refusal_reaches_the_launcher_in_its_own_words(
    postgres: EmbeddedPostgres, layout: Layout, tmp_path: Path
) -> None:
    (tmp_path / "keys").write_text("a short\n")
    (tmp_path / "keys").chmod(0o600)
    order = {
        "migrate": False,
        "connections": 10,
        "read_url": None,
        "app_url": postgres.urls.app_url,
        "jobs_url": postgres.urls.jobs_url,
        "master_keys": str(tmp_path / "keys"),
        "master_key_command": None,
    }
    modules = Modules(layout, dict(os.environ) | {"PYTHONPATH": str(ROOT)})
    with pytest.raises(ConfigurationError, match=r"^the keyring .*, line 1: the key 'a' "):
        await modules.run(SEED, order, 60.0)


def test_a_replica_that_is_away_stops_no_start_and_one_that_is_too_small_does(
    postgres: EmbeddedPostgres, capsys: pytest.CaptureFixture[str]
) -> None:
    check_replica("postgresql://127.0.0.1:1/manta", 10)
    assert "cannot be reached; the primary answers" in capsys.readouterr().out
    check_replica(postgres.urls.app_url, 10)
    with pytest.raises(ConfigurationError, match="takes up to 1000 connections"):
        check_replica(postgres.urls.app_url, 1000)
