"""Every POST: it takes an `Idempotency-Key` and acts once, or stands in a list with the reason why not."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.idempotency import REPLAYED
from configs.postgres import EmbeddedPostgres
from tests.api.routes.conftest import fresh
from tests.api.routes.policies import TABLE
from tests.api.routes.test_conversations import begun, call
from tests.api.routes.test_privacy import CONTROLLER
from tests.fixtures.application import PASSWORD, Application, Person, application

__all__ = ["fresh"]

SIGNS_IN = "signs in: each answer is a session of its own, which is no secret to keep in a table"
BY_SECRET = "is done by a secret that is good once"
SAME = "leads to the same, however often"
READS = "reads only"
WITHOUT = {
    "POST /api/auth/register": "has no caller yet; an address has one account, and the second request is 409",
    "POST /api/auth/login": SIGNS_IN,
    "POST /api/auth/refresh": SIGNS_IN,
    "POST /api/auth/passkeys/login/verify": SIGNS_IN,
    "POST /api/auth/totp/verify": SIGNS_IN,
    "POST /api/auth/oidc/{provider}/login": "begins a sign-in; what is not gone on with is over in minutes",
    "POST /api/auth/identities/{provider}/link": "begins a sign-in, as above",
    "POST /api/auth/passkeys/login/options": "asks for a challenge; one that is not used is over in minutes",
    "POST /api/auth/passkeys/register/options": "asks for a challenge, as above",
    "POST /api/auth/passkeys/register/verify": BY_SECRET,
    "POST /api/auth/password-reset/confirm": BY_SECRET,
    "POST /api/auth/verify-email": BY_SECRET,
    "POST /api/auth/password-reset": "sends a mail; how many an address gets is limited",
    "POST /api/auth/password": SAME,
    "POST /api/auth/logout": SAME,
    "POST /api/auth/erase": "erases whoever asks: there is nobody to ask twice",
    "POST /api/users/{user_id}/erase": SAME,
    "POST /api/auth/totp": "a secret that is not confirmed gives way to the next",
    "POST /api/auth/totp/confirm": SAME,
    "POST /api/auth/recovery-codes": "new codes replace the old ones; they are told once and kept nowhere",
    "POST /scim/v2/.search": READS,
    "POST /scim/v2/Users/.search": READS,
    "POST /scim/v2/Groups/.search": READS,
    "POST /tokenize": READS,
    "POST /v1/vector_stores/{vector_store_id}": SAME,
    "POST /v1/vector_stores/{vector_store_id}/search": READS,
    "POST /v1/vector_stores/{vector_store_id}/files/{file_id}": SAME,
    "POST /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel": SAME,
}
ON_A_STACK = {"POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/rerank"}
"""They spend, and need a model: tests/stack/test_openai.py sends one twice."""
AS_A_FORM = {"POST /v1/files"}
"""tests/api/routes/test_files.py sends one twice."""
WITH_A_MODEL = {
    "POST /v1/vector_stores",
    "POST /v1/vector_stores/{vector_store_id}/files",
    "POST /v1/vector_stores/{vector_store_id}/file_batches",
}
"""tests/api/routes/test_vector_stores.py sends them twice."""
TWICE = {
    "POST /api/models",
    "POST /api/keys",
    "POST /api/auth/consents",
    "POST /api/invitations",
    "POST /api/invitations/accept",
    "POST /api/organizations",
    "POST /api/teams",
    "POST /api/projects",
    "POST /api/conversations",
    "POST /api/conversations/{conversation_id}/messages",
    "POST /scim/v2/Users",
    "POST /scim/v2/Groups",
}


def test_every_post_is_in_one_of_the_lists() -> None:
    posts = {name for name in TABLE if name.startswith("POST ")}
    lists = (set(WITHOUT), ON_A_STACK, TWICE, AS_A_FORM, WITH_A_MODEL)
    assert set.union(*lists) == posts
    for one, other in itertools.combinations(lists, 2):
        assert not one & other


@pytest.fixture(scope="module")
async def named_app(postgres: EmbeddedPostgres) -> AsyncIterator[Application]:
    """Where there are documents to agree to."""
    async with application(postgres, privacy={"controller": CONTROLLER}) as made:
        yield made


async def owner_of(app: Application, name: str, organization_id: str = "default") -> Person:
    http, email = app.client(), f"{name}@example.com"
    app.clients.append(http)
    accepts = {each: (await http.get(f"/api/legal/{each}")).json()["version"] for each in ("privacy", "terms")}
    body = {"email": email, "password": PASSWORD, "accepts": accepts}
    user_id = (await http.post("/api/auth/register", json=body)).json()["user_id"]
    await app.move(user_id, "owner", organization_id)
    signed_in = await http.post("/api/auth/login", json={"email": email, "password": PASSWORD})
    headers = {"authorization": f"Bearer {signed_in.json()['access_token']}"}
    return Person(email, user_id, headers, http, organization_id)


async def body_of(app: Application, person: Person, route: str, name: str) -> tuple[str, dict[str, Any]]:
    """The path, and a body that makes something."""
    path = route.removeprefix("POST ")
    if path == "/api/auth/consents":
        version = (await call(person, "GET", "/api/legal/terms")).json()["version"]
        return path, {"document": "terms", "version": version, "given": True}
    if path == "/api/invitations/accept":
        other = await owner_of(app, f"{name}-host", f"org_{name}")
        return path, {"invitation": (await call(other, "POST", "/api/invitations", {})).json()["token"]}
    if path.endswith("/messages"):
        conversation = (await begun(person))["id"]
        return f"/api/conversations/{conversation}/messages", {"role": "user", "content": name}
    bodies: dict[str, dict[str, Any]] = {
        "/api/models": {"model_name": name, "params": {"model": f"vllm/{name}"}},
        "/api/invitations": {"email": f"{name}-guest@example.com"},
        "/api/conversations": {"title": name},
        "/scim/v2/Users": {"schemas": [], "userName": f"{name}-scim@example.com"},
        "/scim/v2/Groups": {"schemas": [], "displayName": name},
    }
    return path, bodies.get(path, {"name": name})


@pytest.mark.parametrize("route", sorted(TWICE))
async def test_what_makes_something_makes_it_once_per_key(named_app: Application, fresh: str, route: str) -> None:
    person = await owner_of(named_app, fresh)
    path, body = await body_of(named_app, person, route, fresh)
    headers = {**person.headers, "idempotency-key": "k-1"}
    if path.startswith("/scim"):
        headers["content-type"] = "application/scim+json"
    first, again = [await person.http.post(path, json=body, headers=headers) for _ in range(2)]
    assert first.status_code == 201, first.text
    assert (again.status_code, again.json()) == (201, first.json())
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    for name in ("content-type", "location"):
        assert again.headers.get(name) == first.headers.get(name), name
    other = await person.http.post(path, json={**body, "more": 1}, headers=headers)
    assert other.status_code in (400, 422), other.text
