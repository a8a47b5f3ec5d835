"""How files end: their time, their owner, a right that is taken back, bytes that were changed."""

import io
import os
import zipfile
from typing import Any

import httpx2
import pytest
from openai import NotFoundError

from api.db.session import JOBS_ROLE, Database
from api.files.blobs import Blobs
from api.files.place import file_target
from api.files.tidying import tidy
from api.privacy.erase import erase_all
from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import PASSWORD, Application, Person
from tests.fixtures.database import query
from tests.fixtures.links import until
from tests.fixtures.uploads import SENTENCE, blobs, form, sdk


async def test_a_file_whose_time_is_over_is_gone(app: Application, fresh: str, postgres: EmbeddedPostgres) -> None:
    async with sdk(app, await app.register(fresh)) as client:
        made = await client.files.create(
            file=("a.txt", b"soon over"),
            purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 3600},
        )
        assert made.expires_at is not None
        assert 3590 <= made.expires_at - made.created_at <= 3610
        jobs = Database(postgres.urls.jobs_url, pool_size=1, role=JOBS_ROLE)
        await tidy(jobs, Blobs(file_target(app.services.cluster)))  # what other tests left
        query(postgres, "UPDATE files SET expires_at = now() - interval '2 minutes' WHERE id = %s", made.id)
        with pytest.raises(NotFoundError):
            await client.files.retrieve(made.id)
        assert [file async for file in client.files.list()] == []
        before = len(blobs(app))
        assert await tidy(jobs, Blobs(file_target(app.services.cluster))) == (1, 0)
        assert len(blobs(app)) == before  # an upload under way has no row either: bytes have a day
        _, removed = await tidy(jobs, Blobs(file_target(app.services.cluster)), grace_s=-5)
        await jobs.close()
        assert removed >= 1
        assert len(blobs(app)) < before


async def test_a_person_takes_their_files_along_and_erases_them(
    app: Application, fresh: str, postgres: EmbeddedPostgres
) -> None:
    person = await app.register(fresh)
    async with sdk(app, person) as client:
        made = await client.files.create(file=("a.txt", SENTENCE), purpose="user_data")
    exported = await person.http.get("/api/auth/export", headers=person.headers)
    archive = zipfile.ZipFile(io.BytesIO(exported.content))
    assert archive.read(f"default/files/{made.id}") == SENTENCE
    assert b'"a.txt"' in archive.read("default/files.json")
    ((blob,),) = query(postgres, "SELECT blob FROM files WHERE id = %s", made.id)
    assert (await person.http.post("/api/auth/erase", json={"password": PASSWORD}, headers=person.headers)).is_success
    jobs = Database(postgres.urls.jobs_url, pool_size=1, role=JOBS_ROLE, deadline_s=None)
    assert await erase_all(jobs, app.services.cluster.data_dir, Blobs(file_target(app.services.cluster))) >= 1
    await jobs.close()
    assert query(postgres, "SELECT id FROM files WHERE id = %s", made.id) == []
    assert not any(blob in str(path) for path in blobs(app))


async def test_what_is_over_shares_its_bytes_with_nobody(
    app: Application, fresh: str, postgres: EmbeddedPostgres
) -> None:
    async with sdk(app, await app.register(fresh)) as client:
        made = await client.files.create(file=("a.txt", b"over"), purpose="user_data")
        query(postgres, "UPDATE files SET expires_at = now() WHERE id = %s", made.id)
        before = len(blobs(app))
        await client.files.create(file=("b.txt", b"over"), purpose="user_data")
        assert len(blobs(app)) == before + 1


async def a_key(person: Person) -> tuple[str, dict[str, str]]:
    made = (await person.http.post("/api/keys", json={"name": "k"}, headers=person.headers)).json()
    return made["id"], {"authorization": f"Bearer {made['key']}"}


async def test_a_key_that_is_revoked_during_an_upload_stores_nothing(app: Application, fresh: str) -> None:
    person, before = await app.register(fresh), blobs(app)
    key_id, headers = await a_key(person)
    content, kind = form(b"x" * 200_000)

    async def revoked_halfway() -> Any:
        yield content[:100_000]
        await person.http.delete(f"/api/keys/{key_id}", headers=person.headers)
        yield content[100_000:]

    sent = headers | kind
    answer = await person.http.post("/v1/files", headers=sent, content=revoked_halfway())
    assert answer.status_code == 401, answer.text
    assert blobs(app) == before


async def test_a_download_ends_with_the_right_to_it(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    async with sdk(app, person) as client:
        made = await client.files.create(file=("a", os.urandom(48 * 2**20)), purpose="user_data")
    key_id, headers = await a_key(person)
    async with app.client() as http, http.stream("GET", f"/v1/files/{made.id}/content", headers=headers) as answer:
        await person.http.delete(f"/api/keys/{key_id}", headers=person.headers)
        with pytest.raises(httpx2.RemoteProtocolError):
            await answer.aread()


async def test_an_owner_who_is_gone_at_the_end_of_an_upload_stores_nothing(
    app: Application, fresh: str, postgres: EmbeddedPostgres
) -> None:
    person, before = await app.register(fresh), blobs(app)
    content, kind = form(b"x" * 200_000)

    async def key_destroyed_halfway() -> Any:
        yield content[:100_000]
        made = "SELECT id FROM data_keys WHERE owner_id = %s"
        await until(lambda: bool(query(postgres, made, person.id)))
        query(postgres, "DELETE FROM data_keys WHERE owner_id = %s", person.id)
        yield content[100_000:]

    sent = person.headers | kind
    answer = await person.http.post("/v1/files", headers=sent, content=key_destroyed_halfway())
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "unreadable_content")
    assert blobs(app) == before


async def test_an_export_survives_what_cannot_be_read(app: Application, fresh: str, postgres: EmbeddedPostgres) -> None:
    person = await app.register(fresh)
    async with sdk(app, person) as client:
        made = await client.files.create(file=("a.txt", SENTENCE), purpose="user_data")
    query(postgres, "DELETE FROM data_keys WHERE owner_id = %s", person.id)
    app.services.vault.forget()
    exported = await person.http.get("/api/auth/export", headers=person.headers)
    assert exported.status_code == 200
    archive = zipfile.ZipFile(io.BytesIO(exported.content))
    assert archive.read(f"default/files/{made.id}") == b""
    assert b"destroyed" in archive.read("default/files.json")


async def test_content_that_was_changed_on_the_disk_is_told(app: Application, fresh: str) -> None:
    person, before = await app.register(fresh), blobs(app)
    async with sdk(app, person) as client:
        made = await client.files.create(file=("a.txt", b"to be changed"), purpose="user_data")
    (path,) = set(blobs(app)) - set(before)
    stored = path.read_bytes()
    path.write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    answer = await person.http.get(f"/v1/files/{made.id}/content", headers=person.headers)
    assert answer.status_code == 500
    assert "changed" in answer.json()["error"]["message"]
