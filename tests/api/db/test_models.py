from typing import Any

import pytest

from api.db import models
from api.db.session import Database
from configs.postgres import EmbeddedPostgres
from configs.specs import ModelSpec
from tests.fixtures.database import query


@pytest.fixture(autouse=True)
def empty(postgres: EmbeddedPostgres) -> None:
    query(postgres, "DELETE FROM models")


def spec(name: str, **fields: Any) -> ModelSpec:
    return ModelSpec.model_validate({"model_name": name, "params": {"model": f"vllm/{name}"}, **fields})


def names(postgres: EmbeddedPostgres) -> dict[str, str]:
    return dict(query(postgres, "SELECT name, origin FROM models"))


async def test_origins_are_told(database: Database) -> None:
    async with database.unit() as session:
        await models.add(session, spec("added"))
        await models.seed(session, [spec("file")])
        assert await models.origins(session) == {"added": "api", "file": "file"}


async def test_a_model_comes_back_as_it_was(database: Database) -> None:
    made = spec("a", engine={"max_model_len": 4096}, autoscaling={"max_replicas": 3}, max_ongoing_requests=7)
    async with database.unit() as session:
        assert await models.add(session, made)
    async with database.unit() as session:
        ((found, _),) = await models.all_rows(session)
    assert found == made


async def test_a_name_is_taken_once(database: Database) -> None:
    async with database.unit() as session:
        assert await models.add(session, spec("a"))
        assert not await models.add(session, spec("a", max_ongoing_requests=7))
    async with database.unit() as session:
        assert await models.remove(session, "a")
        assert not await models.remove(session, "a")


async def test_the_file_rules_its_own_models_only(database: Database, postgres: EmbeddedPostgres) -> None:
    async with database.unit() as session:
        await models.add(session, spec("added"))
        await models.seed(session, [spec("kept"), spec("dropped"), spec("added", max_ongoing_requests=7)])
    async with database.unit() as session:
        await models.seed(session, [spec("kept", max_ongoing_requests=9)])
    assert names(postgres) == {"added": "api", "kept": "file"}
    async with database.unit() as session:
        found = {each.model_name: each.max_ongoing_requests for each, _ in await models.all_rows(session)}
        assert [each.model_name for each in await models.added(session)] == ["added"]
    assert found == {"added": 1024, "kept": 9}


async def test_an_empty_file_leaves_what_was_added(database: Database, postgres: EmbeddedPostgres) -> None:
    async with database.unit() as session:
        await models.add(session, spec("added"))
        await models.seed(session, [spec("a")])
        await models.seed(session, [])
    assert names(postgres) == {"added": "api"}


async def test_only_an_added_model_is_removed_as_one(database: Database, postgres: EmbeddedPostgres) -> None:
    async with database.unit() as session:
        await models.seed(session, [spec("file")])
        await models.add(session, spec("added"))
        assert not await models.remove_added(session, "file")
        assert await models.remove_added(session, "added")
    assert names(postgres) == {"file": "file"}


async def test_a_unit_that_fails_leaves_nothing(database: Database, postgres: EmbeddedPostgres) -> None:
    async def add_and_fail() -> None:
        async with database.unit() as session:
            await models.add(session, spec("a"))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await add_and_fail()
    assert names(postgres) == {}
