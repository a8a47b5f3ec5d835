import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.db import models
from api.db.session import Database
from api.directory import Directory
from configs.errors import BadRequest, ModelNotFound
from configs.postgres import EmbeddedPostgres
from configs.specs import Kind, ModelSpec
from tests.fixtures.database import bring_back, query

MINILM = {"kind": "embedding", "params": {"model": "sentence_transformers/all-MiniLM-L6-v2"}}


def spec(name: str, **fields: Any) -> ModelSpec:
    return ModelSpec.model_validate({"model_name": name, "params": {"model": f"vllm/{name}"}, **fields})


@pytest.fixture
async def removed() -> list[str]:
    return []


@pytest.fixture
async def directory(database: Database, postgres: EmbeddedPostgres, removed: list[str]) -> AsyncIterator[Directory]:
    query(postgres, "DELETE FROM models")
    yield Directory(database, removed.append)
    query(postgres, "DELETE FROM models")


async def keep(database: Database, *specs: ModelSpec) -> None:
    async with database.unit() as session:
        for each in specs:
            assert await models.add(session, each)


async def test_every_name_is_found_with_its_adapters(directory: Directory, database: Database) -> None:
    loaded = [directory.loaded]
    await keep(database, spec("b", adapters=[{"name": "a", "path": "/tmp/a"}]), spec("emb", **MINILM))
    await directory.refresh()
    assert [*loaded, directory.loaded] == [False, True]
    assert [(entry.name, entry.base) for entry in directory.entries()] == [("a", "b"), ("b", "b"), ("emb", "emb")]
    assert directory.entry("a").spec == directory.entry("b").spec
    assert directory.of_kind("emb", Kind.EMBEDDING).created > 1_700_000_000


async def test_an_unknown_name_and_another_kind_are_refused(directory: Directory, database: Database) -> None:
    await keep(database, spec("emb", **MINILM))
    await directory.refresh()
    with pytest.raises(ModelNotFound) as unknown:
        directory.of_kind("nothing", Kind.CHAT)
    with pytest.raises(BadRequest, match="serves embeddings, not chat") as other:
        directory.of_kind("emb", Kind.CHAT)
    assert (unknown.value.param, other.value.param) == ("model", "model")


async def test_what_was_removed_is_told_once(directory: Directory, database: Database, removed: list[str]) -> None:
    await keep(database, spec("a"), spec("b"))
    await directory.refresh()
    async with database.unit() as session:
        assert await models.remove(session, "a")
    await directory.refresh()
    await directory.refresh()
    assert removed == ["a"]
    with pytest.raises(ModelNotFound):
        directory.entry("a")


async def test_a_row_that_is_not_understood_leaves_the_others(
    directory: Directory, database: Database, postgres: EmbeddedPostgres
) -> None:
    await keep(database, spec("a"))
    query(postgres, "INSERT INTO models (name, spec, origin) VALUES ('new', '{\"from\": \"the future\"}', 'api')")
    await directory.refresh()
    assert [entry.name for entry in directory.entries()] == ["a"]


async def test_the_last_list_stays_while_the_database_is_down(
    directory: Directory, database: Database, postgres: EmbeddedPostgres, removed: list[str]
) -> None:
    await keep(database, spec("a"))
    await directory.refresh()
    await asyncio.to_thread(postgres.stop)
    try:
        await directory.refresh()
        assert [entry.name for entry in directory.entries()] == ["a"]
        assert removed == []
    finally:
        await asyncio.to_thread(bring_back, postgres)
