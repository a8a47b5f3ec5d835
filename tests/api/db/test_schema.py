import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.db import keys, schema
from api.db.session import Database, psycopg_url
from api.keys import digest_of, key_of
from api.launcher.seed import seed
from api.scope import INSTALLATION
from configs.errors import ConfigurationError, Unavailable
from configs.postgres import EmbeddedPostgres
from configs.specs import ModelSpec
from tests.fixtures.data_dirs import held_layout, open_folder
from tests.fixtures.database import query, reached


@pytest.fixture(scope="module")
def fresh() -> Iterator[EmbeddedPostgres]:
    with open_folder() as root, held_layout(root / "data") as layout, EmbeddedPostgres(layout) as server:
        yield server


async def present(server: EmbeddedPostgres) -> str | None:
    async with reached(server) as database, database.unit() as session:
        return await schema.present(session)


async def test_several_may_migrate_at_once(fresh: EmbeddedPostgres) -> None:
    assert await present(fresh) is None
    with ThreadPoolExecutor(3) as pool:
        steps = list(pool.map(schema.upgrade, [fresh.urls.owner_url] * 3))
    wanted = schema.wanted()
    assert sorted(str(before) for before, _ in steps) == sorted(["None", wanted, wanted])
    assert {after for _, after in steps} == {wanted}
    assert await present(fresh) == wanted


def test_vector_stores_of_a_version_that_was_never_released_are_refused(fresh: EmbeddedPostgres) -> None:
    schema.upgrade(fresh.urls.owner_url)
    query(fresh, "ALTER TABLE vector_store_files RENAME notes TO former")
    with pytest.raises(ConfigurationError, match="an empty data directory"):
        schema.upgrade(fresh.urls.owner_url)
    query(fresh, "ALTER TABLE vector_store_files RENAME former TO notes")
    assert schema.upgrade(fresh.urls.owner_url) == (schema.wanted(), schema.wanted())


async def test_seeding_twice_makes_one_key(postgres: EmbeddedPostgres, database: Database, tmp_path: Path) -> None:
    spec = ModelSpec.model_validate({"model_name": "seeded", "params": {"model": "vllm/seeded"}})
    for _ in range(2):
        await seed(postgres.urls.app_url, [spec], key_of("operators secret"), tmp_path)
    async with database.unit(INSTALLATION) as session:
        key = await keys.find(session, digest_of(key_of("operators secret").encode()))
    assert key is not None
    assert (key["permissions"], key["organization_id"]) == (["*"], "default")
    assert query(
        postgres, "SELECT count(*) FROM api_keys WHERE digest = %s", digest_of(key_of("operators secret").encode())
    ) == [(1,)]
    assert query(postgres, "SELECT origin FROM models WHERE name = 'seeded'") == [("file",)]
    await seed(postgres.urls.app_url, [], key_of("operators secret"), tmp_path)
    assert query(postgres, "SELECT origin FROM models WHERE name = 'seeded'") == []


async def test_an_unreachable_database_is_told(fresh: EmbeddedPostgres) -> None:
    nowhere = "postgresql://user:password@127.0.0.1:1/none"
    with pytest.raises(Unavailable) as raised:
        await asyncio.to_thread(schema.upgrade, nowhere)
    assert "password" not in raised.value.message
    database = Database(nowhere)
    with pytest.raises(Unavailable):
        async with database.unit(INSTALLATION) as session:
            await schema.present(session)
    await database.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_url_names_the_driver(scheme: str) -> None:
    assert psycopg_url(f"{scheme}://a@/b?host=c") == "postgresql+psycopg://a@/b?host=c"
