from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from api import errors
from api.answers import json_answer
from api.context import Context, context_of
from api.db.session import Database
from api.doorkeeper import Doorkeeper
from api.gate import Gate
from api.policy import check_guarded, guarded_router, is_local, local_or, public, requires
from api.principal import EVERYTHING, GRANTABLE, OF_THE_INSTALLATION, PERSONAL, Permission, Principal
from configs.specs import GeneralSettings, IngressSpec
from tests.fixtures.database import kept_key
from tests.fixtures.servers import Served, served
from tests.fixtures.sessions import TOKENS

ROUTED: list[Context] = []


def site(database: Database) -> Gate:
    router = guarded_router()

    @router.get("/public")
    @public
    async def open_to_all(request: Request) -> Response:
        return json_answer({"principal": context_of(request.scope).principal})

    @router.get("/keys/{name}")
    @requires(Permission.KEYS_READ)
    async def guarded(request: Request, name: str) -> Response:
        principal = context_of(request.scope).principal
        assert principal is not None
        return json_answer({"principal": principal.key_id})

    @router.get("/number/{number}")
    @requires(Permission.KEYS_READ)
    async def number(number: int) -> Response:
        return json_answer({"number": number})

    @router.get("/metrics")
    @local_or(Permission.METRICS_READ)
    async def local(request: Request) -> Response:
        return json_answer({"known": context_of(request.scope).principal is not None})

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.services = SimpleNamespace(doorkeeper=Doorkeeper(database, TOKENS))
    app.include_router(router)
    errors.install(app)
    check_guarded(app)
    return Gate(app, IngressSpec(), GeneralSettings(host="0.0.0.0"), ROUTED.append)


@pytest.fixture
async def front(database: Database) -> AsyncIterator[Served]:
    ROUTED.clear()
    async with served(site(database)) as at:
        yield at


async def get(front: Served, path: str, **headers: str) -> Any:
    async with front.http() as client:
        return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_route_without_a_policy_cannot_be_defined() -> None:
    router = guarded_router()

    async def endpoint() -> Response:
        return json_answer({})

    with pytest.raises(RuntimeError, match=r"'/forgotten' has no policy"):
        router.get("/forgotten")(endpoint)
    with pytest.raises(RuntimeError, match=r"'/forgotten' has no policy"):
        public(router.post("/forgotten")(endpoint))


def unguarded_apps() -> Iterator[FastAPI]:
    async def endpoint() -> Response:
        return json_answer({})

    plain = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    plain.get("/unguarded")(endpoint)
    yield plain
    marked = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    marked.get("/unguarded")(public(endpoint))
    yield marked
    mounted = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    mounted.mount("/unguarded", plain)
    yield mounted


@pytest.mark.parametrize("app", list(unguarded_apps()), ids=["plain", "marked but on no guarded router", "mounted"])
def test_an_application_with_an_unguarded_route_fails(app: FastAPI) -> None:
    with pytest.raises(RuntimeError, match="'/unguarded' has no policy"):
        check_guarded(app)


def test_fastapis_own_pages_are_unguarded() -> None:
    with pytest.raises(RuntimeError, match="has no policy"):
        check_guarded(FastAPI())


async def test_a_public_route_needs_no_key(front: Served) -> None:
    assert (await get(front, "/public")).json() == {"principal": None}
    assert (await get(front, "/public", authorization="Bearer rubbish")).status_code == 200


async def test_a_guarded_route_lets_in_who_may(front: Served, database: Database) -> None:
    good, other = await kept_key(database, "keys:read"), await kept_key(database, "inference")
    answer = await get(front, "/keys/a", authorization=f"Bearer {good.key}")
    assert answer.json() == {"principal": good.id}
    for key, status, code in ((None, 401, "invalid_api_key"), (other.key, 403, "forbidden")):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        refused = await get(front, "/keys/a", **headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert {each.route for each in ROUTED} == {"/keys/{name}"}


async def test_the_policy_comes_before_the_parameters(front: Served) -> None:
    assert (await get(front, "/number/seven")).status_code == 401


@pytest.mark.parametrize("path", ["/KEYS/a", "/keys/a/../b", "//keys/a", "/keys%2Fa", "/public/../keys/a", "/keys/a/"])
async def test_no_spelling_of_the_path_goes_around(front: Served, path: str) -> None:
    async with front.wire() as wire:
        wire.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await wire.reply()).status in (307, 401, 404)


async def test_this_machine_needs_no_key_where_that_is_enough(front: Served, database: Database) -> None:
    assert (await get(front, "/metrics")).json() == {"known": False}
    assert (await get(front, "/metrics", host="localhost:9")).status_code == 200


@pytest.mark.parametrize(
    "header", ["forwarded", "x_forwarded_for", "x_forwarded_proto", "x_forwarded_host", "X_Real_IP", "via"]
)
async def test_who_comes_through_a_proxy_needs_a_key(front: Served, database: Database, header: str) -> None:
    made = await kept_key(database, "metrics:read")
    assert (await get(front, "/metrics", **{header: "127.0.0.1"})).status_code == 401
    answer = await get(front, "/metrics", **{header: "127.0.0.1", "authorization": f"Bearer {made.key}"})
    assert answer.json() == {"known": True}


async def test_who_calls_this_machine_by_another_name_needs_a_key(front: Served) -> None:
    assert (await get(front, "/metrics", host="a.example.com")).status_code == 401


@pytest.mark.parametrize("client", [None, ("10.0.0.7", 1), ("::ffff:10.0.0.7", 1), ("localhost", 1)])
def test_peers_elsewhere_are_not_local(client: tuple[str, int] | None) -> None:
    assert not is_local({"client": client, "headers": [(b"host", b"127.0.0.1")]})


def test_peers_here_are_local() -> None:
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert is_local({"client": (address, 1), "headers": [(b"host", b"[::1]:8000")]})


def test_permissions_are_held_one_by_one_or_all() -> None:
    for permission in frozenset(Permission) - PERSONAL:
        assert Principal("default", frozenset({permission.value})).may(permission)
        assert Principal("default", frozenset({EVERYTHING})).may(permission)
        others = frozenset(each.value for each in Permission if each is not permission)
        assert not Principal("default", others).may(permission)
    assert {each.value for each in frozenset(Permission) - PERSONAL} | {"*"} == GRANTABLE


def test_the_account_is_a_sessions_and_the_installation_is_the_first_organizations() -> None:
    everything = frozenset({EVERYTHING, "account"})
    assert not Principal("default", everything, key_id="k", user_id="u").may(Permission.ACCOUNT)
    for permission in PERSONAL:
        assert Principal("default", frozenset(), user_id="u", session_id="s").may(permission)
        assert not Principal("default", everything, key_id="k", user_id="u").may(permission)
    for permission in OF_THE_INSTALLATION:
        assert Principal("default", everything).may(permission)
        assert not Principal("org_1", everything).may(permission)
    waiting = Principal("default", everything, user_id="u", session_id="s", needs_second_factor=True)
    assert [permission for permission in Permission if waiting.may(permission)] == [Permission.ACCOUNT]
