"""API keys."""

from typing import Annotated

from fastapi import Request, Response
from pydantic import Field

from api.answers import json_answer
from api.context import context_of
from api.db import keys as key_queries
from api.db.notifications import notify
from api.documents import takes
from api.keys import make_key
from api.policy import guarded_router, requires
from api.principal import EVERYTHING, GRANTABLE, Permission, Principal
from api.services import services_of
from api.validation import Wire, read
from configs.errors import BadRequest, NotFound

router = guarded_router()

LONGEST_LIFE_S = 10 * 366 * 86400


class NewKeyRequest(Wire):
    """A name to recognise it by, and what it may do (by default what its maker may)."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    permissions: Annotated[list[str], Field(min_length=1, max_length=32)] | None = None
    expires_in_s: Annotated[int, Field(ge=1, le=LONGEST_LIFE_S)] | None = None


@router.post("/api/keys", tags=["Keys"], status_code=201, openapi_extra=takes(NewKeyRequest))
@requires(Permission.KEYS_WRITE)
async def create_key(request: Request) -> Response:
    """Make a key; this answer is the only place where it is shown."""
    context = context_of(request.scope)
    assert context.principal is not None
    asked = read(NewKeyRequest, context)
    permissions = allowed(asked.permissions, context.principal)
    made = make_key()
    async with services_of(request).database.unit() as session:
        row = await key_queries.add(
            session,
            made,
            organization_id=context.principal.organization_id,
            name=asked.name,
            permissions=permissions,
            expires_in_s=asked.expires_in_s,
        )
    return json_answer({**row, "key": made.key}, 201)


@router.get("/api/keys", tags=["Keys"])
@requires(Permission.KEYS_READ)
async def list_keys(request: Request) -> Response:
    """The organization's keys, by prefix."""
    context = context_of(request.scope)
    assert context.principal is not None
    async with services_of(request).database.unit() as session:
        keys = await key_queries.all_living(session, context.principal.organization_id)
    return json_answer({"object": "list", "data": [key_queries.as_json(key) for key in keys]})


@router.delete("/api/keys/{key_id}", tags=["Keys"])
@requires(Permission.KEYS_WRITE)
async def revoke_key(request: Request, key_id: str) -> Response:
    """Revoke a key, at once on every ingress."""
    context = context_of(request.scope)
    assert context.principal is not None
    async with services_of(request).database.unit() as session:
        if not await key_queries.revoke(session, context.principal.organization_id, key_id):
            raise NotFound("There is no such key.", param="key_id")
        await notify(session, key_queries.CHANNEL)
    services_of(request).doorkeeper.forget()
    return json_answer({"id": key_id, "object": "key", "revoked": True})


def allowed(asked: list[str] | None, maker: Principal) -> list[str]:
    """The permissions of a new key: never more than its maker's.

    Raises:
        BadRequest: an unknown permission, or one that the maker lacks.
    """
    if asked is None:
        return sorted(maker.permissions)
    unknown = sorted(set(asked) - GRANTABLE)
    if unknown:
        raise BadRequest(f"Unknown permission; known are {', '.join(sorted(GRANTABLE))}.", param="permissions")
    if EVERYTHING not in maker.permissions and not set(asked) <= maker.permissions:
        raise BadRequest("A key cannot hold more than the key that makes it.", param="permissions")
    return sorted(set(asked))
