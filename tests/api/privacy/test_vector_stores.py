"""What a person takes away of their vector stores, and what an erasure leaves of them."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from api.control.jobs import Jobs
from api.scope import Scope
from configs.errors import NotFound, Unreadable
from retrieval.collection import Query
from retrieval.terms import terms
from tests.api.routes.conftest import knowing
from tests.api.routes.test_conversations import call
from tests.fixtures.application import PASSWORD, Application
from tests.fixtures.database import query
from tests.fixtures.indexed import followed, index, uploaded
from tests.fixtures.uploads import sdk

__all__ = ["knowing"]

SECRET = "a-snipe-that-nobody-may-find"


async def exported(app: Application, person: Any) -> list[dict[str, Any]]:
    answer = await call(person, "GET", "/api/auth/export")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    found: list[dict[str, Any]] = json.loads(archive.read("default/vector_stores.json"))
    return found


async def test_a_copy_has_the_stores_with_their_files(
    knowing: Application, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.privacy.stores_export.BATCH", 2)
    person, other = await knowing.register(fresh), await knowing.register(f"{fresh}-other")
    assert await exported(knowing, person) == []
    async with sdk(knowing, person) as client, sdk(knowing, other) as theirs:
        await theirs.vector_stores.create(name="not yours")
        files = [await uploaded(client, f"{number}.txt") for number in range(3)]
        names = [SECRET, "second", "third"]
        stores = [(await client.vector_stores.create(name=name)).id for name in names]
        for file in files:
            await client.vector_stores.files.create(stores[0], file_id=file, attributes={"of": file})
    told = await exported(knowing, person)
    assert [(each["id"], each["name"]) for each in told] == list(zip(stores, names, strict=True))
    assert [(each["id"], each["attributes"]) for each in told[0]["files"]] == [(id_, {"of": id_}) for id_ in files]
    assert told[1]["files"] == []


async def test_an_erasure_reaches_who_searches(knowing: Application, jobs: Jobs, fresh: str, tmp_path: Path) -> None:
    person = await knowing.register(fresh)
    async with sdk(knowing, person) as client, followed(knowing, tmp_path / "search") as following:
        file = await uploaded(client)
        store = (await client.vector_stores.create(name=SECRET, file_ids=[file])).id
        await index(knowing, person, client, store, file, [SECRET])
        asked = [Query(terms=terms(SECRET))]
        assert len((await following.find(store, 0, asked))[0]) == 1
        ((kept,),) = query(knowing.postgres, "SELECT data_key_id FROM vector_stores WHERE id = %s", store)
        assert (await call(person, "POST", "/api/auth/erase", {"password": PASSWORD})).status_code == 202
        await jobs.run()
        await following.sweep()
        with pytest.raises(NotFound):
            await following.find(store, 0, asked)
        assert following.stats().get(store) is None
        knowing.services.vault.forget()
        with pytest.raises(Unreadable):
            async with knowing.services.database.unit(Scope("default", person.id)) as unit:
                await knowing.services.vault.key(unit, kept)
    for table, column in (("vector_stores", "id"), ("chunks", "vector_store_id")):
        assert query(knowing.postgres, f"SELECT 1 FROM {table} WHERE {column} = %s", store) == []
