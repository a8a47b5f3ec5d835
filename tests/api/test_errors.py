import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest

from api.errors import STATUS, body_of, event_of, response_of, status_of
from configs import errors
from tests.fixtures.gated import SECRET_TEXT, gated, unobserved
from tests.fixtures.servers import Served, served


def tree(cls: type[errors.MantaError] = errors.MantaError) -> Iterator[type[errors.MantaError]]:
    yield cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


@pytest.fixture(scope="module")
async def front() -> AsyncIterator[Served]:
    async with served(gated(unobserved)) as at:
        yield at


@pytest.mark.parametrize("cls", list(tree()), ids=lambda cls: cls.__name__)
async def test_every_error_is_rendered_in_openais_shape(front: Served, cls: type[errors.MantaError]) -> None:
    async with front.http() as client:
        answer = await client.get(f"/raise/{cls.__name__}", headers={"x-request-id": "mine"})
    assert answer.status_code == status_of(cls("words"))
    assert answer.headers["content-type"] == "application/json"
    words = "words (request mine)" if answer.status_code >= 500 else "words"
    assert answer.json() == {"error": {"message": words, "type": cls.kind, "param": "field", "code": cls.code}}


STATUSES = {
    errors.BadRequest: 400, errors.PayloadTooLarge: 413, errors.UnsupportedParameter: 400, errors.ContextTooLong: 400,
    errors.BodyTimedOut: 408, errors.Unauthorized: 401, errors.Forbidden: 403, errors.NotFound: 404,
    errors.ModelNotFound: 404, errors.RouteNotFound: 404, errors.MethodNotAllowed: 405, errors.Conflict: 409,
    errors.Overloaded: 429, errors.Unavailable: 503, errors.ModelStarting: 503, errors.EngineDied: 503,
    errors.TimedOut: 504, errors.Internal: 500, errors.ConfigurationError: 500,
}  # fmt: skip


@pytest.mark.parametrize(("cls", "status"), STATUSES.items(), ids=lambda each: getattr(each, "__name__", str(each)))
def test_each_error_has_its_status(cls: type[errors.MantaError], status: int) -> None:
    assert status_of(cls("words")) == status


def test_the_table_names_only_errors_of_the_tree() -> None:
    assert set(STATUS) <= set(tree())


async def test_an_unexpected_error_tells_its_id_and_nothing_else(front: Served) -> None:
    async with front.http() as client:
        answer = await client.get("/raise/nothing", headers={"x-request-id": "mine"})
    assert answer.status_code == 500
    assert SECRET_TEXT not in answer.text
    assert "(request mine)" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "unknown_url"), ("DELETE", "/echo", 405, "method_not_allowed")],
)
async def test_the_frameworks_errors_have_the_same_shape(
    front: Served, method: str, path: str, status: int, code: str
) -> None:
    async with front.http() as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_bad_path_parameter_is_named(front: Served) -> None:
    async with front.http() as client:
        error = (await client.get("/number/seven")).json()["error"]
    assert (error["param"], error["type"]) == ("number", "invalid_request_error")
    assert "seven" not in error["message"]


@pytest.mark.parametrize(("seconds", "header"), [(0.01, "1"), (1.4, "1"), (5.0, "5"), (None, None)])
def test_retry_after_is_at_least_a_second(seconds: float | None, header: str | None) -> None:
    answer = response_of(errors.Overloaded("words", retry_after_s=seconds), "")
    assert answer.headers.get("retry-after") == header


def test_headers_that_belong_to_an_error() -> None:
    assert response_of(errors.Unauthorized("words"), "").headers["www-authenticate"] == "Bearer"
    assert response_of(errors.PayloadTooLarge("words"), "").headers["connection"] == "close"
    assert not {"www-authenticate", "connection"} & set(response_of(errors.NotFound("words"), "").headers)


def test_an_error_inside_a_stream_is_one_event() -> None:
    event = event_of(errors.EngineDied('with "quotes"\nand lines'), "mine")
    found = re.fullmatch(rb"data: (\{.*\})\n\n", event)
    assert found is not None
    error: Any = orjson.loads(found[1])["error"]
    assert (error["code"], error["message"]) == ("engine_died", 'with "quotes"\nand lines (request mine)')


def test_an_error_before_a_request_has_no_id() -> None:
    assert orjson.loads(body_of(errors.Internal("words"), ""))["error"]["message"] == "words"
