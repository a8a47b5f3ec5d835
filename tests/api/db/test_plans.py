"""No query on a request's path walks a whole table: its plans at 100,000 rows of everything."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.db import schema
from api.scope import Scope
from bench.explain import Heard, heard, plans, walked
from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import PASSWORD, Application, application
from tests.fixtures.data_dirs import held_layout, open_folder
from tests.fixtures.database import query
from tests.fixtures.indexed import MINILM, followed, index, uploaded
from tests.fixtures.placed import placed
from tests.fixtures.uploads import sdk

ROWS = 100_000
SMALL: Any = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}}
FILL = """
INSERT INTO organizations (id, name) SELECT 'org_' || n, n::text FROM generate_series(1, 1000) n;
INSERT INTO users (id, email) SELECT 'user_' || n, n || '@example.com' FROM generate_series(1, :rows) n;
INSERT INTO memberships SELECT 'org_' || (n % 1000 + 1), 'user_' || n, 'member' FROM generate_series(1, :rows) n;
INSERT INTO sessions (id, user_id, organization_id, methods, expires_at)
    SELECT 'sess_' || n, 'user_' || n, 'org_' || (n % 1000 + 1), '{}', now() + interval '1 day'
    FROM generate_series(1, :rows) n;
INSERT INTO refresh_tokens (digest, session_id, user_id)
    SELECT sha256(n::text::bytea), 'sess_' || n, 'user_' || n FROM generate_series(1, :rows) n;
INSERT INTO api_keys (id, organization_id, user_id, name, digest, prefix, permissions)
    SELECT 'key_' || n, 'org_' || (n % 1000 + 1), 'user_' || n, 'k', sha256(n::text::bytea), 'sk-', '{}'
    FROM generate_series(1, :rows) n;
INSERT INTO data_keys (id, organization_id, owner_kind, owner_id, master_key_id, wrapped)
    SELECT 'dk_' || n, 'org_' || (n % 1000 + 1), 'user', 'user_' || n, 'm', 'x' FROM generate_series(1, :rows) n;
INSERT INTO conversations (id, organization_id, user_id, data_key_id, title, updated_at)
    SELECT 'conv_' || n, 'org_' || (n % 1000 + 1), 'user_' || n, 'dk_' || n, 'x', now() - n * interval '1 second'
    FROM generate_series(1, :rows) n;
INSERT INTO messages (id, organization_id, conversation_id, seq, branch, role, data_key_id, content)
    SELECT 'msg_' || n, 'org_' || (n % 1000 + 1), 'conv_' || n, 1, 0, 'user', 'dk_' || n, 'x'
    FROM generate_series(1, :rows) n;
INSERT INTO usage (id, organization_id, user_id, model, route, status, prompt_tokens, completion_tokens, cached_tokens,
    duration_ms, created_at)
    SELECT 'use_' || n, 'org_' || (n % 1000 + 1), 'user_' || n, 'm', 'r', 200, 1, 1, 0, 1, now()
    FROM generate_series(1, :rows) n;
INSERT INTO audit_log SELECT 'org_' || (n % 1000 + 1), n, now(), 'user_' || n, 'a', 't', 'ok', '', '', '{}', 'x', 'x'
    FROM generate_series(1, :rows) n;
INSERT INTO idempotency_keys (organization_id, digest, request_digest, created_at)
    SELECT 'org_' || (n % 1000 + 1), sha256(n::text::bytea), 'x', now() FROM generate_series(1, :rows) n;
INSERT INTO one_time_tokens (digest, purpose, user_id, expires_at)
    SELECT sha256(n::text::bytea), 'p', 'user_' || n, now() FROM generate_series(1, :rows) n;
INSERT INTO invitations (id, digest, organization_id, role, expires_at)
    SELECT 'inv_' || n, sha256(n::text::bytea), 'org_' || (n % 1000 + 1), 'member', now() + interval '1 day'
    FROM generate_series(1, :rows) n;
INSERT INTO files (id, organization_id, user_id, data_key_id, name, purpose, size, digest, blob, created_at)
    SELECT 'file-' || n, 'org_' || (n % 1000 + 1), 'user_' || n, 'dk_' || n, 'x', 'batch', 1, sha256(n::text::bytea),
        'blob' || n, now() FROM generate_series(1, :rows) n;
INSERT INTO vector_stores (id, organization_id, user_id, data_key_id, about, embedding_model, dimensions)
    SELECT 'vs_' || n, 'org_' || (n % 1000 + 1), 'user_' || n, 'dk_' || n, 'x', 'm', 384
    FROM generate_series(1, :rows) n;
INSERT INTO vector_store_file_batches (id, organization_id, user_id, vector_store_id, file_ids)
    SELECT 'vsfb_' || n, 'org_' || (n % 1000 + 1), 'user_' || n, 'vs_' || n, ARRAY['file-' || n]
    FROM generate_series(1, :rows) n;
INSERT INTO vector_store_files (vector_store_id, file_id, organization_id, user_id, batch_id, attributes, status,
    max_tokens, overlap_tokens)
    SELECT 'vs_' || n, 'file-' || n, 'org_' || (n % 1000 + 1), 'user_' || n, 'vsfb_' || n, 'x', 'completed', 800, 400
    FROM generate_series(1, :rows) n;
INSERT INTO chunks (vector_store_id, id, file_id, organization_id, user_id, seq, number, content, vectors)
    SELECT 'vs_' || n, 1, 'file-' || n, 'org_' || (n % 1000 + 1), 'user_' || n, 1, 0, 'x', 'x'
    FROM generate_series(1, :rows) n;
INSERT INTO vector_store_changes (vector_store_id, seq, organization_id, chunk_ids)
    SELECT 'vs_' || n, 1, 'org_' || (n % 1000 + 1), '{0}' FROM generate_series(1, :rows) n;
INSERT INTO throttles (key, count, window_ends_at) SELECT sha256(n::text::bytea), 1, now()
    FROM generate_series(1, :rows) n;
"""


@pytest.fixture(scope="module")
def big() -> Iterator[EmbeddedPostgres]:
    with open_folder() as root, held_layout(root / "data") as layout, EmbeddedPostgres(layout) as server:
        schema.upgrade(server.urls.owner_url)
        query(server, "SET session_replication_role = replica; " + FILL.replace(":rows", str(ROWS)))
        query(server, "VACUUM ANALYZE")
        yield server


@pytest.fixture(scope="module")
async def app(big: EmbeddedPostgres) -> AsyncIterator[Application]:
    async with application(big) as made:
        yield made


async def test_no_request_walks_a_table(app: Application, big: EmbeddedPostgres) -> None:
    large = large_tables(big)
    assert len(large) >= 14
    with heard(app.services.database) as seen:
        person = await app.register("planner", "owner", "org_7")
        http, headers = person.http, person.headers
        conversation = (await http.post("/api/conversations", json={"title": "t"}, headers=headers)).json()["id"]
        path = f"/api/conversations/{conversation}/messages"
        keyed = headers | {"idempotency-key": "k"}
        message = (await http.post(path, json={"role": "user", "content": "x"}, headers=keyed)).json()["id"]
        sent = {"file": ("a.txt", b"a")}
        made = await http.post("/v1/files", data={"purpose": "batch"}, files=sent, headers=keyed)
        file = made.json()["id"]
        for method, where in (
            ("GET", "/v1/files?limit=5"),
            ("GET", f"/v1/files?limit=5&order=asc&after={file}"),
            ("GET", f"/v1/files/{file}/content"),
            ("DELETE", f"/v1/files/{file}"),
            ("GET", "/api/conversations?limit=5"),
            ("GET", f"/api/conversations?after={conversation}"),
            ("GET", f"{path}?limit=5"),
            ("GET", f"{path}?after={message}"),
            ("GET", "/api/keys"),
            ("GET", "/api/users?limit=5"),
            ("GET", f"/api/users/{person.id}"),
            ("GET", "/api/auth/me"),
            ("GET", "/api/auth/sessions"),
            ("GET", "/api/invitations"),
            ("GET", "/api/auth/export"),
            ("DELETE", f"{path}/{message}"),
            ("DELETE", f"/api/conversations/{conversation}"),
        ):
            assert (await http.request(method, where, headers=headers)).status_code == 200, where
        await http.post("/api/auth/refresh", headers={"origin": app.origin})
        await http.post("/api/auth/login", json={"email": person.email, "password": "wrong"})
        await http.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
    assert await walks(app, seen, Scope("org_7", person.id), large, 30) == {}


async def walks(app: Application, seen: Heard, scope: Scope, large: set[str], least: int) -> dict[str, list[str]]:
    told = await plans(app.services.database, seen, scope)
    found = {statement: set(walked(plan)) for statement, plan in told.items()}
    assert len(found) > least
    return {name: sorted(tables & large) for name, tables in found.items() if tables & large}


def large_tables(big: EmbeddedPostgres) -> set[str]:
    return {
        name for (name,) in query(big, "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= %s", ROWS)
    }


async def test_no_request_about_vector_stores_walks_a_table(
    app: Application, big: EmbeddedPostgres, tmp_path: Path
) -> None:
    large = large_tables(big)
    assert {"vector_stores", "vector_store_files", "vector_store_file_batches", "chunks"} <= large
    person = await app.register("librarian", "owner", "org_9")
    async with placed(app.services, MINILM), followed(app, tmp_path), sdk(app, person) as client:
        with heard(app.services.database) as seen:
            file = await uploaded(client)
            store = (await client.vector_stores.create(file_ids=[file])).id
            files, batches = client.vector_stores.files, client.vector_stores.file_batches
            batch = await batches.create(store, file_ids=[file], attributes={"a": 1})
            await index(app, person, client, store, file, ["one", "two"])
            await files.create(store, file_id=file, chunking_strategy=SMALL)
            await files.update(file, vector_store_id=store, attributes={"a": "b"})
            await batches.retrieve(batch.id, vector_store_id=store)
            await batches.list_files(batch.id, vector_store_id=store, filter="in_progress", after=file)
            await batches.cancel(batch.id, vector_store_id=store)
            await files.list(store, order="asc", before=file)
            await files.list(store, filter="completed")
            await files.content(file, vector_store_id=store)
            await client.vector_stores.list(limit=5)
            await client.vector_stores.list(limit=5, before=store, order="asc")
            await client.vector_stores.update(store, name="x")
            assert len((await client.vector_stores.search(store, query="one")).data) == 2
            await client.files.delete(file)
            await client.vector_stores.delete(store)
    assert await walks(app, seen, Scope("org_9", person.id), large, 25) == {}
