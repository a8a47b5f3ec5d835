"""Copy, erasure, retention, consents: through the front, the job, and down to the bytes on the disk."""

import asyncio
import io
import json
import shutil
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr, ValidationError

from api.control.jobs import Jobs
from api.db import schema
from api.db.session import JOBS_ROLE, Database
from api.privacy import ledger
from api.privacy.erase import replay, replay_into
from configs import postgres_cluster
from configs.postgres import EmbeddedPostgres
from configs.specs import Configuration
from tests.fixtures.application import PASSWORD, Application, Person, application
from tests.fixtures.data_dirs import held_layout, open_folder
from tests.fixtures.database import query

SECRET = "an-owl-that-nobody-may-find"
CONTROLLER = {"name": "Example", "address": "1 Example Street", "email": "privacy@example.com", "law": "that of X"}

ACTIVE_OWNERS = """SELECT count(*) FROM memberships m JOIN users u ON u.id = m.user_id
    WHERE m.organization_id = %s AND u.status = 'active'"""


async def call(person: Person, method: str, path: str, body: dict[str, Any] | None = None) -> httpx2.Response:
    return await person.http.request(method, path, json=body, headers=person.headers)


async def wrote(person: Person, text: str) -> str:
    conversation = (await call(person, "POST", "/api/conversations", {"title": text})).json()["id"]
    said = {"role": "user", "content": text}
    assert (await call(person, "POST", f"/api/conversations/{conversation}/messages", said)).status_code == 201
    return str(conversation)


@pytest.fixture
async def jobs(app: Application, postgres: EmbeddedPostgres) -> AsyncIterator[Jobs]:
    cluster = app.services.cluster.model_copy(update={"jobs_url": SecretStr(postgres.urls.jobs_url)})
    made = Jobs(cluster)
    yield made
    await made.close()


async def test_an_export_has_everything_and_no_secret(app: Application, fresh: str) -> None:
    person = await app.register(fresh)
    conversation = await wrote(person, SECRET)
    key = (await call(person, "POST", "/api/keys", {"name": "laptop"})).json()["key"]
    other = await app.register(f"{fresh}-other")
    await wrote(other, "not yours")
    answer = await call(person, "GET", "/api/auth/export")
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["form"], manifest["version"], manifest["user_id"]) == ("manta-export", 1, person.id)
    told = json.loads(archive.read(f"default/conversations/{conversation}.json"))
    assert (told["title"], told["messages"][0]["content"]) == (SECRET, SECRET)
    assert json.loads(archive.read("default/users.json"))[0]["email"] == person.email
    assert json.loads(archive.read("default/api_keys.json"))[0]["name"] == "laptop"
    whole = b"".join(archive.read(name) for name in archive.namelist())
    for hidden in (b"not yours", key.encode(), b"$argon2id$", other.email.encode(), b'"digest"'):
        assert hidden not in whole


async def test_an_erased_person_is_out_at_once_and_gone_after_the_job(
    app: Application, postgres: EmbeddedPostgres, jobs: Jobs, fresh: str
) -> None:
    person = await app.register(fresh)
    conversation = await wrote(person, SECRET)
    key = (await call(person, "POST", "/api/keys", {"name": "k"})).json()["key"]
    assert (await call(person, "POST", "/api/auth/erase", {})).status_code == 400
    assert (await call(person, "POST", "/api/auth/erase", {"password": "wrong one"})).status_code == 401
    erased = await call(person, "POST", "/api/auth/erase", {"password": PASSWORD})
    assert erased.status_code == 202
    async with app.client() as http:
        for headers in (person.headers, {"authorization": f"Bearer {key}"}):
            assert (await http.get("/v1/models", headers=headers)).status_code == 401
        login = {"email": person.email, "password": PASSWORD}
        assert (await http.post("/api/auth/login", json=login)).status_code == 401
    await jobs.run()
    for table, column in (
        ("users", "id"), ("sessions", "user_id"), ("api_keys", "user_id"), ("memberships", "user_id"),
        ("conversations", "user_id"), ("data_keys", "owner_id"), ("usage", "user_id"),
    ):  # fmt: skip
        assert query(postgres, f"SELECT 1 FROM {table} WHERE {column} = %s", person.id) == [], table
    assert query(postgres, "SELECT 1 FROM messages WHERE conversation_id = %s", conversation) == []
    ((report,),) = query(postgres, "SELECT report FROM erasures WHERE subject_id = %s", person.id)
    assert (report["data_keys"], report["conversations"], report["people"]) == (1, 1, 1)
    entries = list(ledger.entries(app.services.cluster.data_dir))
    assert [entry["subject_id"] for entry in entries][-1] == person.id
    assert person.email not in str(entries)
    again = await app.register(fresh)
    assert again.id != person.id


async def test_the_last_owner_cannot_go_and_an_admin_can_erase_a_member(
    app: Application, jobs: Jobs, fresh: str
) -> None:
    org = f"org_{fresh}"
    owner, member = await app.register(fresh, "owner", org), await app.register(f"{fresh}-m", "member", org)
    assert (await call(owner, "POST", "/api/auth/erase", {"password": PASSWORD})).status_code == 409
    assert (await call(member, "POST", f"/api/users/{owner.id}/erase")).status_code == 403
    assert (await call(owner, "POST", f"/api/users/{member.id}/erase")).status_code == 202
    assert (await call(member, "GET", "/api/auth/me")).status_code == 401
    await jobs.run()
    assert (await call(owner, "GET", f"/api/users/{member.id}")).status_code == 404


async def test_of_the_last_two_owners_one_can_erase_themselves(app: Application, fresh: str) -> None:
    for at_once in (False, True):
        org = f"org_{fresh}_{at_once}"
        two = [await app.register(f"{fresh}-{at_once}-{n}".lower(), "owner", org) for n in range(2)]
        asked = [call(owner, "POST", "/api/auth/erase", {"password": PASSWORD}) for owner in two]
        answers = await asyncio.gather(*asked) if at_once else [await each for each in asked]
        assert sorted(answer.status_code for answer in answers) == [202, 409]
        assert query(app.postgres, ACTIVE_OWNERS, org) == [(1,)]


async def test_after_the_key_is_gone_no_byte_of_it_is_on_the_disk(fresh: str) -> None:
    """Data directory, WAL and a copy of both that was made before: a backup."""
    with open_folder() as root, held_layout(root / "data") as layout, EmbeddedPostgres(layout) as server:
        schema.upgrade(server.urls.owner_url)
        async with application(server) as app:
            person = await app.register(fresh)
            conversation = await wrote(person, SECRET)
            path = f"/api/conversations/{conversation}/messages"
            assert SECRET in (await call(person, "GET", path)).text
            query(server, "CHECKPOINT")
            await call(person, "POST", "/api/auth/erase", {"password": PASSWORD})
            jobs = Jobs(app.services.cluster.model_copy(update={"jobs_url": SecretStr(server.urls.jobs_url)}))
            await jobs.run()
            await jobs.close()
            query(server, "CHECKPOINT")
            files = [file for file in postgres_cluster.path(layout).rglob("*") if file.is_file()]
            assert any("pg_wal" in file.parts for file in files)
            found = [file for file in files if SECRET.encode() in file.read_bytes()]
            assert found == []


async def test_a_restored_database_forgets_again(
    app: Application, postgres: EmbeddedPostgres, jobs: Jobs, fresh: str
) -> None:
    """A backup from before the erasure: the person is there again until the ledger is replayed."""
    person = await app.register(fresh)
    await call(person, "POST", "/api/auth/erase", {"password": PASSWORD})
    await jobs.run()
    query(postgres, "DELETE FROM erasures WHERE subject_id = %s", person.id)
    query(postgres, "INSERT INTO users (id, email) VALUES (%s, %s)", person.id, person.email)
    database = Database(postgres.urls.jobs_url, role=JOBS_ROLE)
    assert await replay(database, ledger.entries(app.services.cluster.data_dir)) >= 1
    await database.close()
    assert query(postgres, "SELECT 1 FROM users WHERE id = %s", person.id) == []
    assert query(postgres, "SELECT count(*) FROM erasures WHERE subject_id = %s", person.id) == [(1,)]


async def test_a_copy_of_the_ledger_is_replayed_into_a_database_that_was_just_restored(
    app: Application, postgres: EmbeddedPostgres, jobs: Jobs, fresh: str, tmp_path: Path
) -> None:
    person = await app.register(fresh)
    await call(person, "POST", "/api/auth/erase", {"password": PASSWORD})
    await jobs.run()
    copy = tmp_path / "copy.jsonl"
    await asyncio.to_thread(shutil.copy, app.services.cluster.data_dir / ledger.NAME, copy)
    query(postgres, "INSERT INTO users (id, email) VALUES (%s, %s)", person.id, person.email)
    query(postgres, "UPDATE erasures SET completed_at = NULL WHERE subject_id = %s", person.id)
    entries = list(ledger.entries(copy))
    assert await asyncio.to_thread(replay_into, postgres.root_url, entries) == 1
    assert query(postgres, "SELECT 1 FROM users WHERE id = %s", person.id) == []


def test_a_torn_ledger_line_is_left_out(tmp_path: Path) -> None:
    ledger.append(tmp_path, {"id": "a"})
    ledger.append(tmp_path, {"id": "b"})
    path = tmp_path / ledger.NAME
    path.write_bytes(path.read_bytes() + b'{"id": "c')
    assert [entry["id"] for entry in ledger.entries(tmp_path)] == ["a", "b"]
    ledger.append(tmp_path, {"id": "d"})
    assert [entry["id"] for entry in ledger.entries(tmp_path)] == ["a", "b", "d"]


async def test_retention_follows_the_organization_the_team_and_the_hold(
    app: Application, postgres: EmbeddedPostgres, jobs: Jobs, fresh: str
) -> None:
    org = f"org_{fresh}"
    owner = await app.register(fresh, "owner", org)
    team = (await call(owner, "POST", "/api/teams", {"name": "t"})).json()["id"]
    await call(owner, "PUT", f"/api/teams/{team}/members/{owner.id}")
    old, young, shared = [await wrote(owner, name) for name in ("old", "young", "shared")]
    version = (await call(owner, "GET", f"/api/conversations/{shared}")).json()["version"]
    await call(owner, "PATCH", f"/api/conversations/{shared}", {"version": version, "team_id": team})
    query(
        postgres,
        "UPDATE conversations SET updated_at = now() - interval '40 days' WHERE id = ANY(%s)",
        [old, shared],
    )

    async def left() -> set[str]:
        jobs._kept_at = float("-inf")
        await jobs.run()
        return {row for (row,) in query(postgres, "SELECT id FROM conversations WHERE organization_id = %s", org)}

    assert await left() == {old, young, shared}
    rules = [("conversations", None, 30, True), ("conversations", team, 100, False)]
    for data_class, team_id, days, hold in rules:
        body = {"data_class": data_class, "team_id": team_id, "days": days, "hold": hold}
        assert (await call(owner, "PUT", "/api/admin/retention", body)).status_code == 200
    assert await left() == {old, young, shared}
    body = {"data_class": "conversations", "days": 30, "hold": False}
    assert (await call(owner, "PUT", "/api/admin/retention", body)).status_code == 200
    assert await left() == {young, shared}
    body = {"data_class": "conversations", "team_id": team, "days": 20}
    await call(owner, "PUT", "/api/admin/retention", body)
    assert await left() == {young}
    told = (await call(owner, "GET", "/api/admin/retention")).json()["data"]
    assert [(rule["id"], rule["days"], rule["own"]) for rule in told] == [
        ("conversations", 30, True),
        (f"conversations:{team}", 20, True),
        ("sessions", 90, False),
        ("usage", 400, False),
    ]
    runs = query(
        postgres, "SELECT target, details::json->>'removed' FROM audit_log WHERE organization_id = %s"
        " AND action = 'retention.run' ORDER BY seq", org,
    )  # fmt: skip
    assert runs == [("conversations", "1"), ("conversations", "1")]


async def test_documents_are_made_of_the_operators_fields(app: Application) -> None:
    async with app.client() as http:
        assert (await http.get("/api/legal/privacy")).status_code == 404
    async with application(app.postgres, privacy={"controller": CONTROLLER}) as named, named.client() as http:
        names = [each["id"] for each in (await http.get("/api/legal")).json()["data"]]
        assert names == ["cookies", "privacy", "terms"]
        for name in names:
            text = (await http.get(f"/api/legal/{name}")).json()["text"]
            assert "$" not in text
            assert CONTROLLER["name"] in text
            assert CONTROLLER["email"] in text
        assert (await http.get("/api/legal/other")).status_code == 404


async def test_whoever_registers_where_everybody_can_agrees_first(app: Application, fresh: str) -> None:
    async with application(app.postgres, privacy={"controller": CONTROLLER}) as named, named.client() as http:
        body: dict[str, Any] = {"email": f"{fresh}@example.com", "password": PASSWORD}
        refused = await http.post("/api/auth/register", json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "accepts")
        versions = {name: (await http.get(f"/api/legal/{name}")).json()["version"] for name in ("privacy", "terms")}
        old = {**body, "accepts": {**versions, "terms": "000000000000"}}
        assert (await http.post("/api/auth/register", json=old)).status_code == 400
        made = await http.post("/api/auth/register", json={**body, "accepts": versions})
        assert made.status_code == 201
        headers = {"authorization": f"Bearer {made.json()['access_token']}"}
        given = (await http.get("/api/auth/consents", headers=headers)).json()["data"]
        assert {each["document"]: each["version"] for each in given} == versions
        back = {"document": "terms", "version": versions["terms"], "given": False}
        assert (await http.post("/api/auth/consents", json=back, headers=headers)).status_code == 201
        late = {"document": "terms", "version": "000000000000", "given": True}
        assert (await http.post("/api/auth/consents", json=late, headers=headers)).status_code == 409


def test_the_public_is_not_asked_for_data_by_nobody() -> None:
    sections: dict[str, Any] = {
        "identity": {"registration": "open"},
        "general_settings": {"public_url": "https://chat.example.com"},
    }
    with pytest.raises(ValidationError, match=r"privacy\.controller"):
        Configuration.model_validate(sections)
    Configuration.model_validate({**sections, "privacy": {"controller": CONTROLLER}})
    Configuration.model_validate({"identity": {"registration": "open"}})
