"""Every route of the OpenAPI document under generated requests: no 5xx, and no status that it does not name."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from configs.postgres import EmbeddedPostgres
from tests.fixtures.application import Application, application

ENDS = {
    "/api/auth/logout",
    "/api/auth/sessions",
    "/api/auth/sessions/{session_id}",
    "/api/auth/erase",
    "/api/auth/password",
}
"""They may end the session that the others need."""
ASK_SERVE = {"/api/models", "/readyz", "/health", "/metrics"}
"""No Ray runs here; tests/stack has them."""
EXAMPLES, DEEP_EXAMPLES = 4, 200


@pytest.fixture(scope="module")
async def own(postgres: EmbeddedPostgres) -> AsyncIterator[Application]:
    async with application(postgres) as made:
        yield made


def surprises(url: str, headers: dict[str, str], examples: int) -> list[str]:
    """What answered with a status that the document does not name, or with a fault of ours."""
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    found: list[str] = []
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:
        if operation.path not in ENDS | ASK_SERVE:
            ask(operation, url, headers, examples, found)
    assert len(operations) > 60
    return found


def ask(operation: Any, url: str, headers: dict[str, str], examples: int, found: list[str]) -> None:
    """One operation, several times."""
    named = {str(status) for status in operation.definition.raw["responses"]}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(case=operation.as_strategy())
    def answered(case: Any) -> None:
        answer = case.call(base_url=url, headers=headers, timeout=30)
        status = str(answer.status_code)
        if status not in named or (status.startswith("5") and status != "503"):
            found.append(f"{operation.label}: {status} {answer.text[:200]}")

    answered()


async def test_no_generated_request_surprises(own: Application) -> None:
    person = await own.register("generated", "owner")
    assert await asyncio.to_thread(surprises, own.origin, person.headers, EXAMPLES) == []


async def test_no_stranger_surprises(own: Application) -> None:
    assert await asyncio.to_thread(surprises, own.origin, {}, 2) == []


@pytest.mark.deep
@pytest.mark.timeout(1800)
async def test_many_generated_requests(own: Application) -> None:
    person = await own.register("generated-deep", "owner")
    assert await asyncio.to_thread(surprises, own.origin, person.headers, DEEP_EXAMPLES) == []
