"""SCIM 2.0: an organization's directory keeps its users and groups. Its token is an API key with `scim`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response

from api.context import context_of
from api.db.session import Unit
from api.errors import SCIM_TYPE
from api.idempotency import once
from api.policy import guarded_router, requires
from api.principal import Permission
from api.scim import groups, users
from api.scim.attributes import Resource
from api.scim.desk import Desk
from api.scim.resources import MAX_RESULTS, ROOT, resource_types, schemas, service_provider_config
from api.scim.search import Search, search_of
from api.services import services_of
from api.sharing import unshared
from configs.errors import BadRequest, NotFound

router = guarded_router()

LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
BODY = {"requestBody": {"required": True, "content": {SCIM_TYPE: {"schema": {"type": "object"}}}}}
ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {SCIM_TYPE: {"schema": {"type": "object"}}}}}
MADE: dict[int | str, dict[str, Any]] = {201: {"content": {SCIM_TYPE: {"schema": {"type": "object"}}}}}
Text = Annotated[str, Query(max_length=2000)]
Number = Annotated[int, Query(ge=-(2**31), le=2**31 - 1)]


def asked(
    filter: Text = "",  # noqa: A002  SCIM's word
    start_index: Annotated[Number, Query(alias="startIndex")] = 1,
    count: Number = MAX_RESULTS // 5,
    attributes: Text = "",
    excluded: Annotated[Text, Query(alias="excludedAttributes")] = "",
) -> Search:
    """What a query asks for."""
    return Search.of(filter, start_index, count, attributes.split(","), excluded.split(","))


Asked = Annotated[Search, Depends(asked)]


@router.get(f"{ROOT}/ServiceProviderConfig", tags=["SCIM"], responses=ANSWER)
@requires(Permission.SCIM)
async def get_config(request: Request) -> Response:
    """What is supported."""
    return answer(service_provider_config(Desk.of(request).base))


@router.get(f"{ROOT}/ResourceTypes", tags=["SCIM"], responses=ANSWER)
@requires(Permission.SCIM)
async def list_resource_types(request: Request) -> Response:
    """The kinds of resource."""
    return whole(resource_types(Desk.of(request).base))


@router.get(f"{ROOT}/ResourceTypes/{{name}}", tags=["SCIM"], responses=ANSWER)
@requires(Permission.SCIM)
async def get_resource_type(request: Request, name: str) -> Response:
    """One kind of resource."""
    return one(resource_types(Desk.of(request).base), name)


@router.get(f"{ROOT}/Schemas", tags=["SCIM"], responses=ANSWER)
@requires(Permission.SCIM)
async def list_schemas(request: Request) -> Response:
    """The attributes that are kept here."""
    return whole(schemas(Desk.of(request).base))


@router.get(f"{ROOT}/Schemas/{{urn}}", tags=["SCIM"], responses=ANSWER)
@requires(Permission.SCIM)
async def get_schema(request: Request, urn: str) -> Response:
    """The attributes of one kind."""
    return one(schemas(Desk.of(request).base), urn)


@router.post(f"{ROOT}/.search", tags=["SCIM"], responses=ANSWER, openapi_extra=BODY)
@requires(Permission.SCIM)
async def search_all(request: Request) -> Response:
    """Users, then groups, that fit a filter."""
    desk, search = Desk.of(request), search_of(context_of(request.scope).json)
    return page(search, *await search.across(desk, [users.listed, groups.listed]))


@router.get(f"{ROOT}/Users", tags=["SCIM"], responses=ANSWER)
@requires(Permission.SCIM)
async def list_users(request: Request, asked: Asked) -> Response:
    """Members that fit a filter."""
    return page(asked, *await asked.across(Desk.of(request), [users.listed]))


@router.post(f"{ROOT}/Users/.search", tags=["SCIM"], responses=ANSWER, openapi_extra=BODY)
@requires(Permission.SCIM)
async def search_users(request: Request) -> Response:
    """Members that fit a filter, which no log of addresses gets to see."""
    search = search_of(context_of(request.scope).json)
    return page(search, *await search.across(Desk.of(request), [users.listed]))


@router.post(f"{ROOT}/Users", tags=["SCIM"], status_code=201, responses=MADE, openapi_extra=BODY)
@requires(Permission.SCIM)
async def add_user(request: Request) -> Response:
    """Make a member. An address that has an account elsewhere is refused, never taken over."""
    return await _once(request, users.create)


@router.get(f"{ROOT}/Users/{{user_id}}", tags=["SCIM"], responses=ANSWER)
@requires(Permission.SCIM)
async def get_user(request: Request, user_id: str, asked: Asked) -> Response:
    """One member."""
    return answer(asked.projection(await users.get(Desk.of(request), user_id)))


@router.put(f"{ROOT}/Users/{{user_id}}", tags=["SCIM"], responses=ANSWER, openapi_extra=BODY)
@requires(Permission.SCIM)
async def replace_user(request: Request, user_id: str) -> Response:
    """Set everything that a directory may set."""
    return await changed(request, users.replace, user_id)


@router.patch(f"{ROOT}/Users/{{user_id}}", tags=["SCIM"], responses=ANSWER, openapi_extra=BODY)
@requires(Permission.SCIM)
async def patch_user(request: Request, user_id: str) -> Response:
    """Change some of it. `active: false` disables the account and ends its sessions at once."""
    return await changed(request, users.patch, user_id)


@router.delete(f"{ROOT}/Users/{{user_id}}", tags=["SCIM"], status_code=204, response_class=Response)
@requires(Permission.SCIM)
async def remove_user(request: Request, user_id: str) -> Response:
    """Send somebody away: the account is disabled, its sessions end. It is no erasure."""
    services = services_of(request)
    await unshared(services.database, services.conversations, lambda: users.remove(Desk.of(request), user_id))
    services.doorkeeper.forget()
    return Response(status_code=204)


@router.get(f"{ROOT}/Groups", tags=["SCIM"], responses=ANSWER)
@requires(Permission.SCIM)
async def list_groups(request: Request, asked: Asked) -> Response:
    """Teams that fit a filter."""
    return page(asked, *await asked.across(Desk.of(request), [groups.listed]))


@router.post(f"{ROOT}/Groups/.search", tags=["SCIM"], responses=ANSWER, openapi_extra=BODY)
@requires(Permission.SCIM)
async def search_groups(request: Request) -> Response:
    """Teams that fit a filter."""
    search = search_of(context_of(request.scope).json)
    return page(search, *await search.across(Desk.of(request), [groups.listed]))


@router.post(f"{ROOT}/Groups", tags=["SCIM"], status_code=201, responses=MADE, openapi_extra=BODY)
@requires(Permission.SCIM)
async def add_group(request: Request) -> Response:
    """Make a team."""
    return await _once(request, groups.create)


@router.get(f"{ROOT}/Groups/{{team_id}}", tags=["SCIM"], responses=ANSWER)
@requires(Permission.SCIM)
async def get_group(request: Request, team_id: str, asked: Asked) -> Response:
    """One team."""
    return answer(asked.projection(await groups.get(Desk.of(request), team_id)))


@router.put(f"{ROOT}/Groups/{{team_id}}", tags=["SCIM"], responses=ANSWER, openapi_extra=BODY)
@requires(Permission.SCIM)
async def replace_group(request: Request, team_id: str) -> Response:
    """Set a team's name and people."""
    return await changed(request, groups.replace, team_id)


@router.patch(f"{ROOT}/Groups/{{team_id}}", tags=["SCIM"], responses=ANSWER, openapi_extra=BODY)
@requires(Permission.SCIM)
async def patch_group(request: Request, team_id: str) -> Response:
    """Change a team's name or some of its people."""
    return await changed(request, groups.patch, team_id)


@router.delete(f"{ROOT}/Groups/{{team_id}}", tags=["SCIM"], status_code=204, response_class=Response)
@requires(Permission.SCIM)
async def remove_group(request: Request, team_id: str) -> Response:
    """Remove a team; its people stay, and what they shared with it is theirs alone again."""
    services = services_of(request)
    await unshared(services.database, services.conversations, lambda: groups.remove(Desk.of(request), team_id))
    return Response(status_code=204)


def answer(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`body` as SCIM's JSON."""
    return Response(orjson.dumps(body), status, headers, SCIM_TYPE)


def made(resource: Resource) -> Response:
    """A new resource, and where it is."""
    return answer(resource, 201, {"location": resource["meta"]["location"]})


def page(search: Search, total: int, rows: list[Resource]) -> Response:
    """A page of a list."""
    return answer(
        {
            "schemas": [LIST],
            "totalResults": total,
            "startIndex": search.start,
            "itemsPerPage": len(rows),
            "Resources": [search.projection(row) for row in rows],
        }
    )


def whole(rows: dict[str, dict[str, Any]]) -> Response:
    """A list that is always short."""
    return answer({"schemas": [LIST], "totalResults": len(rows), "startIndex": 1, "itemsPerPage": len(rows),
                   "Resources": list(rows.values())})  # fmt: skip


def one(rows: dict[str, dict[str, Any]], name: str) -> Response:
    """One of a short list.

    Raises:
        NotFound: it is not there.
    """
    if name not in rows:
        raise NotFound("There is no such thing; the list has those there are.")
    return answer(rows[name])


async def _once(request: Request, create: Callable[[Desk, Unit, Any], Awaitable[Resource]]) -> Response:
    desk, body = Desk.of(request), context_of(request.scope).json
    return await once(request, lambda unit: create(desk, unit, body), made)


Change = Callable[[Desk, str, Any], Awaitable[Resource]]


async def changed(request: Request, change: Change, resource_id: str) -> Response:
    """A resource after its change, which counts at once on every ingress."""
    body = context_of(request.scope).json
    if not isinstance(body, dict):
        raise BadRequest(f"Send a JSON object with the header `content-type: {SCIM_TYPE}`.")
    services, desk = services_of(request), Desk.of(request)
    resource = await unshared(services.database, services.conversations, lambda: change(desk, resource_id, body))
    services.doorkeeper.forget()
    return answer(resource)
