"""API keys: a person's own, and with `keys:manage` the organization's."""

from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field

from api.answers import json_answer
from api.audit.record import record
from api.context import context_of
from api.db import keys as key_queries
from api.db.notifications import notify
from api.db.session import Unit
from api.documents import takes
from api.idempotency import once
from api.keys import make_key
from api.policy import caller, guarded_router, requires
from api.principal import GRANTABLE, Permission, Principal
from api.roles import covers
from api.services import services_of
from api.validation import Wire, read
from configs.errors import BadRequest, Forbidden, NotFound

router = guarded_router()

LONGEST_LIFE_S = 10 * 366 * 86400
ModelName = Annotated[str, Field(min_length=1, max_length=200)]


class NewKeyRequest(Wire):
    """A name to recognise it by, and what it may do (by default what its maker may)."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    permissions: Annotated[list[str], Field(min_length=1, max_length=32)] | None = None
    models: Annotated[list[ModelName], Field(min_length=1, max_length=100)] | None = None
    expires_in_s: Annotated[int, Field(ge=1, le=LONGEST_LIFE_S)] | None = None
    owned_by: Literal["person", "organization"] = "person"
    """An organization's key goes on when its maker leaves: for programs, such as a directory."""


@router.post("/api/keys", tags=["Keys"], status_code=201, openapi_extra=takes(NewKeyRequest))
@requires(Permission.KEYS_WRITE)
async def create_key(request: Request) -> Response:
    """Make a key, shown in this answer only. It never does more than its maker, and no longer than its maker's key."""
    principal, context = caller(request), context_of(request.scope)
    asked = read(NewKeyRequest, context)
    if asked.owned_by == "organization" and not principal.may(Permission.KEYS_MANAGE):
        raise Forbidden("Only who manages keys can make one of the organization.", param="owned_by")
    permissions, models = allowed(asked.permissions, principal), allowed_models(asked.models, principal)

    async def effect(unit: Unit) -> dict[str, Any]:
        made = make_key()
        row = await key_queries.add(
            unit,
            made,
            organization_id=principal.organization_id,
            user_id=principal.user_id if asked.owned_by == "person" else None,
            name=asked.name,
            permissions=permissions,
            models=models,
            expires_in_s=asked.expires_in_s,
            made_by=principal.key_id,
        )
        await record(unit, context, "key.create", target=made.id, permissions=permissions, models=models)
        return {**row, "key": made.key}

    return await once(request, effect)


@router.get("/api/keys", tags=["Keys"])
@requires(Permission.KEYS_READ)
async def list_keys(request: Request) -> Response:
    """The caller's keys by prefix; all of the organization's for who manages them."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as session:
        keys = await key_queries.all_living(session, principal.organization_id, own_only(principal))
    return json_answer({"object": "list", "data": [key_queries.as_json(key) for key in keys]})


@router.delete("/api/keys/{key_id}", tags=["Keys"])
@requires(Permission.KEYS_WRITE)
async def revoke_key(request: Request, key_id: str) -> Response:
    """Revoke a key, at once on every ingress."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as session:
        if not await key_queries.revoke(session, principal.organization_id, key_id, own_only(principal)):
            raise NotFound("There is no such key.", param="key_id")
        await record(session, context_of(request.scope), "key.revoke", target=key_id)
        await notify(session, key_queries.CHANNEL)
    services_of(request).doorkeeper.forget()
    return json_answer({"id": key_id, "object": "api_key", "revoked": True})


def own_only(principal: Principal) -> str | None:
    """Whose keys this caller may see: None is everybody's. A key without a person sees the organization's."""
    return None if principal.may(Permission.KEYS_MANAGE) else principal.user_id


def allowed(asked: list[str] | None, maker: Principal) -> list[str]:
    """The permissions of a new key: never more than its maker's.

    Raises:
        BadRequest: an unknown permission, or one that the maker lacks.
    """
    if asked is None:
        return sorted(maker.permissions)
    unknown: list[Any] = sorted(set(asked) - GRANTABLE)
    if unknown:
        raise BadRequest(f"Unknown permission; known are {', '.join(sorted(GRANTABLE))}.", param="permissions")
    if not covers(maker.permissions, asked):
        raise BadRequest("A key cannot hold more than the one who makes it.", param="permissions")
    return sorted(set(asked))


def allowed_models(asked: list[str] | None, maker: Principal) -> list[str] | None:
    """The models of a new key: never more than its maker's.

    Raises:
        BadRequest: one that the maker may not call.
    """
    if maker.models is None:
        return sorted(set(asked)) if asked is not None else None
    if asked is None:
        return sorted(maker.models)
    if not set(asked) <= maker.models:
        raise BadRequest("A key cannot call more models than the one who makes it.", param="models")
    return sorted(set(asked))
