"""The OpenAPI document: clients are generated from it."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from api import documents
from api.app import ROUTERS


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = FastAPI(title="Manta", version="0")
    for router in ROUTERS:
        app.include_router(router)
    documents.install(app)
    return app.openapi()


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield from [value] if key == "$ref" else references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_is_defined(document: dict[str, Any]) -> None:
    defined = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= defined


WITHOUT_BODY = {
    "/api/auth/logout",
    "/api/users/{user_id}/erase",
    "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel",
}


def test_every_post_says_what_it_takes(document: dict[str, Any]) -> None:
    posts = {path: methods["post"] for path, methods in document["paths"].items() if "post" in methods}
    assert "/api/models" in posts
    assert {path for path, route in posts.items() if "requestBody" not in route} == WITHOUT_BODY


def test_each_operation_has_one_name(document: dict[str, Any]) -> None:
    names = [route["operationId"] for methods in document["paths"].values() for route in methods.values()]
    assert len(names) == len(set(names))
