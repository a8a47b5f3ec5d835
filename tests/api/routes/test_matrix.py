"""Routes x principals x ownership x transport against one table. A route that is not in the table fails the test."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.app import ROUTERS
from api.cookies import NAME
from api.policy import GuardedRoute
from api.principal import OF_THE_INSTALLATION, Permission, Principal
from api.roles import BUILT_IN
from api.scope import Scope
from configs.postgres import EmbeddedPostgres
from tests.api.routes.policies import LOCAL, PUBLIC, TABLE
from tests.fixtures.application import PASSWORD, Application, Person, application
from tests.fixtures.database import query
from tests.fixtures.factors import PasskeyHolder
from tests.fixtures.shelves import Shelf

ENDS = {"POST /api/auth/logout", "DELETE /api/auth/sessions"}
"""Each of these ends the session that asks: they run on one of their own."""
ASK_SERVE = {"GET /api/models", "GET /readyz", "GET /health", "GET /metrics"}
"""Whoever is let in asks Ray, which does not run here; tests/stack has them."""
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BODIES: dict[str, dict[str, Any]] = {
    "PATCH /api/users/{user_id}": {"name": "x"},
    "PATCH /api/teams/{team_id}": {"name": "x"},
    "PATCH /api/projects/{project_id}": {"name": "x"},
    "PATCH /api/conversations/{conversation_id}": {"version": 1},
    "POST /api/conversations/{conversation_id}/messages": {"role": "user", "content": "x"},
    "PATCH /api/conversations/{conversation_id}/messages/{message_id}": {"version": 1},
    "POST /v1/vector_stores/{vector_store_id}/files": {"file_id": "x"},
    "POST /v1/vector_stores/{vector_store_id}/search": {"query": "x"},
    "POST /v1/vector_stores/{vector_store_id}/files/{file_id}": {"attributes": {}},
    "POST /v1/vector_stores/{vector_store_id}/file_batches": {"file_ids": ["x"]},
    "PUT /scim/v2/Users/{user_id}": {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "foreign@example.com",
    },
    "PUT /scim/v2/Groups/{team_id}": {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "x",
    },
    "PATCH /scim/v2/Users/{user_id}": {
        "schemas": [PATCH],
        "Operations": [{"op": "replace", "value": {"active": True}}],
    },
    "PATCH /scim/v2/Groups/{team_id}": {
        "schemas": [PATCH],
        "Operations": [{"op": "replace", "value": {"displayName": "x"}}],
    },
}
"""What a foreign id gets as far as the id with; other bodies are refused before."""
IDS = (
    "key_id", "session_id", "passkey_id", "user_id", "invitation_id", "team_id", "project_id", "conversation_id",
    "message_id", "file_id", "vector_store_id", "batch_id",
)  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """Somebody with a way of proving who they are."""

    name: str
    headers: dict[str, str]
    principal: Principal | None


@pytest.fixture(scope="module")
async def own_app(postgres: EmbeddedPostgres) -> AsyncIterator[Application]:
    async with application(postgres) as made:
        yield made


def routes_of(app: FastAPI | None = None) -> dict[str, GuardedRoute]:
    found: dict[str, GuardedRoute] = {}
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, GuardedRoute)
            for method in route.methods:
                found[f"{method} {route.path}"] = route
    return found


def test_every_route_stands_in_the_table_with_its_policy() -> None:
    policies = {}
    for name, route in routes_of().items():
        policies[name] = PUBLIC if route.permission is None else LOCAL if route.local_is_enough else route.permission
    assert policies == TABLE


async def key_of(person: Person, **fields: Any) -> dict[str, str]:
    answer = await person.http.post("/api/keys", json={"name": "k", **fields}, headers=person.headers)
    assert answer.status_code == 201, answer.text
    return {"authorization": f"Bearer {answer.json()['key']}"}


async def callers(app: Application, org: str) -> list[Caller]:
    """Everybody who may come, by every transport."""
    made = [Caller("nobody", {}, None)]
    for role in BUILT_IN:
        person = await app.register(f"matrix-{org}-{role}", role, org)
        session = Principal(org, BUILT_IN[role], user_id=person.id, session_id="s")
        made.append(Caller(f"{org} {role} by token", person.headers, session))
        made.append(Caller(f"{role} by cookie", {"cookie": f"{NAME}={person.http.cookies[NAME]}"}, None))
        if session.may(Permission.KEYS_WRITE):
            key = Principal(org, BUILT_IN[role], key_id="k", user_id=person.id)
            made.append(Caller(f"{org} {role} by key", await key_of(person), key))
            narrow = Principal(org, frozenset({"inference"}), key_id="k", user_id=person.id)
            made.append(Caller(f"{role} by a narrow key", await key_of(person, permissions=["inference"]), narrow))
    return made


async def a_passkey(app: Application, person: Person) -> str:
    made = await PasskeyHolder.of(app, person).register()
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def a_file(person: Person) -> str:
    given = {"file": ("f.txt", b"text")}
    made = await person.http.post("/v1/files", headers=person.headers, data={"purpose": "user_data"}, files=given)
    assert made.status_code == 200, made.text
    return str(made.json()["id"])


async def foreign_ids(app: Application) -> dict[str, str]:
    """One of everything, of an organization that nobody else belongs to."""
    owner = await app.register("matrix-foreign", "owner", "org_foreign")

    async def made(path: str, body: dict[str, Any], status: int = 201) -> str:
        answer = await owner.http.post(path, json=body, headers=owner.headers)
        assert answer.status_code == status, answer.text
        return str(answer.json()["id"])

    conversation = await made("/api/conversations", {})
    file_id = await a_file(owner)
    store = Shelf(app.services.database, app.services.database, app.services.vault, Scope("org_foreign", owner.id))
    await store.make()
    await made(f"/v1/vector_stores/{store.id}/files", {"file_id": file_id}, 200)
    sessions = (await owner.http.get("/api/auth/sessions", headers=owner.headers)).json()["data"]
    return {
        "key_id": await made("/api/keys", {"name": "k"}),
        "session_id": sessions[0]["id"],
        "passkey_id": await a_passkey(app, owner),
        "user_id": owner.id,
        "invitation_id": await made("/api/invitations", {}),
        "team_id": await made("/api/teams", {"name": "t"}),
        "project_id": await made("/api/projects", {"name": "p"}),
        "conversation_id": conversation,
        "file_id": file_id,
        "vector_store_id": store.id,
        "batch_id": await made(f"/v1/vector_stores/{store.id}/file_batches", {"file_ids": [file_id]}, 200),
        "message_id": await made(f"/api/conversations/{conversation}/messages", {"role": "user", "content": "x"}),
    }


def filled(path: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)(:path)?\}", lambda found: ids.get(found[1], "nothing"), path)


async def ask(http: httpx2.AsyncClient, name: str, ids: dict[str, str], headers: dict[str, str]) -> httpx2.Response:
    method, path = name.split()
    body = BODIES.get(name, {}) if method in ("POST", "PUT", "PATCH") else None
    return await http.request(method, filled(path, ids), json=body, headers=headers)


def expected(policy: str, caller: Caller) -> set[int] | None:
    """The statuses that a policy demands; None where it lets the caller in."""
    if policy in (PUBLIC, LOCAL):
        return None
    if caller.principal is None:
        return {401}
    return None if caller.principal.may(Permission(policy)) else {403}


def surprising(name: str, policy: str, wanted: set[int] | None, status: int) -> bool:
    """Whether a cell's status is none that its policy allows. A foreign id is not found, which is not forbidden."""
    if status >= 500 and status != 503:
        return True
    if wanted is not None:
        return status not in wanted
    if policy in (PUBLIC, LOCAL):
        return False
    return status != 404 if any(f"{{{each}}}" in name for each in IDS) else status in (401, 403)


async def test_no_cell_surprises(own_app: Application) -> None:
    ids, surprises, cells = await foreign_ids(own_app), [], 0
    everybody = [*await callers(own_app, "default"), *await callers(own_app, "org_matrix")]
    async with own_app.client() as http:
        for name, policy in TABLE.items():
            if name in ENDS:
                continue
            for caller in everybody:
                wanted = expected(policy, caller)
                if wanted is None and name in ASK_SERVE:
                    continue
                answer = await ask(http, name, ids, caller.headers)
                cells += 1
                if surprising(name, policy, wanted, answer.status_code):
                    surprises.append((name, caller.name, answer.status_code))
    assert surprises == []
    assert cells > 1500


async def test_what_ends_a_session_wants_one(own_app: Application) -> None:
    person = await own_app.register("matrix-ends", "owner")
    key = await key_of(person)
    async with own_app.client() as http:
        for name in sorted(ENDS):
            assert (await ask(http, name, {}, {})).status_code == 401
            assert (await ask(http, name, {}, key)).status_code == 403
            again = await http.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
            headers = {"authorization": f"Bearer {again.json()['access_token']}"}
            assert (await ask(http, name, {}, headers)).status_code == 200


async def test_nothing_foreign_was_changed(own_app: Application) -> None:
    for table, column in (("teams", "name"), ("projects", "name")):
        for (value,) in query(own_app.postgres, f"SELECT {column} FROM {table} WHERE organization_id = 'org_foreign'"):
            assert value != "x"
    counted = "SELECT count(*) FROM {} WHERE organization_id = 'org_foreign'"
    for table in ("teams", "projects", "conversations", "messages", "invitations", "api_keys", "memberships",
                  "vector_stores", "vector_store_files", "vector_store_file_batches"):  # fmt: skip
        assert query(own_app.postgres, counted.format(table))[0][0] >= 1, table


def test_the_installation_is_the_first_organizations() -> None:
    assert {policy for policy in TABLE.values() if policy in OF_THE_INSTALLATION} >= {"models:write"}
