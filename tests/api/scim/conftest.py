"""A directory with a token of its own, in an organization of its own."""

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.api.routes.conftest import app, fresh
from tests.fixtures.application import Application, Person

__all__ = ["app", "fresh"]


@dataclass(frozen=True)
class Directory:
    """What holds an API key with `scim` and nothing else."""

    app: Application
    owner: Person
    headers: dict[str, str]
    http: httpx2.AsyncClient

    async def call(self, method: str, path: str, body: Any = None, **params: Any) -> httpx2.Response:
        headers = {**self.headers, "content-type": "application/scim+json"}
        return await self.http.request(method, f"/scim/v2{path}", json=body, params=params or None, headers=headers)

    async def made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.call("POST", path, body)
        assert answer.status_code == 201, answer.text
        resource: dict[str, Any] = answer.json()
        return resource

    async def user(self, local: str, **more: Any) -> dict[str, Any]:
        return await self.made("/Users", {"schemas": [], "userName": f"{local}@example.com", **more})

    async def patch(self, path: str, *operations: dict[str, Any]) -> httpx2.Response:
        return await self.call("PATCH", path, {"schemas": [], "Operations": list(operations)})

    async def listed(self, path: str, **params: Any) -> list[dict[str, Any]]:
        answer = await self.call("GET", path, **params)
        assert answer.status_code == 200, answer.text
        resources: list[dict[str, Any]] = answer.json()["Resources"]
        return resources


async def directory_of(app: Application, owner: Person) -> Directory:
    body = {"name": "directory", "permissions": ["scim"], "owned_by": "organization"}
    answer = await owner.http.post("/api/keys", json=body, headers=owner.headers)
    headers = {"authorization": f"Bearer {answer.json()['key']}"}
    http = app.client()
    app.clients.append(http)
    return Directory(app, owner, headers, http)


@pytest.fixture
async def directory(app: Application, fresh: str) -> Directory:
    owner = await app.register(f"{fresh}-scim-owner", "owner", f"org_scim_{fresh}")
    return await directory_of(app, owner)
