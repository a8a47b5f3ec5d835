"""The organization itself, its roles, and how further organizations are made."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field

from api.answers import json_answer
from api.audit.record import record
from api.context import context_of
from api.db import closing, keys, logins, organizations, privacy
from api.db.notifications import notify
from api.db.session import Unit, acting
from api.documents import takes
from api.idempotency import once
from api.identity.members import check_permissions
from api.identity.secrets import new_secret
from api.ids import new_id
from api.pages import whole
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.roles import BUILT_IN, OWNER
from api.scope import Scope
from api.services import services_of
from api.validation import Wire, read
from configs.errors import Conflict, NotFound

router = guarded_router()

Name = Annotated[str, Field(min_length=1, max_length=100)]
FIRST_LINK = timedelta(days=7)


class OrganizationRequest(Wire):
    """Its name."""

    name: Name


class RoleRequest(Wire):
    """What the role may do."""

    permissions: Annotated[list[str], Field(max_length=64)]


@router.get("/api/organization", tags=["Organization"])
@requires(Permission.USERS_READ)
async def get_organization(request: Request) -> Response:
    """The caller's organization."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        row = await organizations.get(unit, principal.organization_id)
        assert row is not None
        return json_answer(organizations.as_json(row))


@router.patch("/api/organization", tags=["Organization"], openapi_extra=takes(OrganizationRequest))
@requires(Permission.ORGANIZATION_WRITE)
async def rename_organization(request: Request) -> Response:
    """Another name."""
    principal, context = caller(request), context_of(request.scope)
    asked = read(OrganizationRequest, context)
    async with services_of(request).database.unit(principal.scope) as unit:
        await organizations.change(unit, principal.organization_id, name=asked.name)
        await record(unit, context, "organization.rename", target=principal.organization_id)
    return await get_organization(request)


@router.post("/api/organizations", tags=["Organization"], status_code=201, openapi_extra=takes(OrganizationRequest))
@requires(Permission.ORGANIZATIONS_WRITE)
async def add_organization(request: Request) -> Response:
    """One more organization on this installation; the link in the answer makes its first owner."""
    context, principal = context_of(request.scope), caller(request)
    asked, organization_id = read(OrganizationRequest, context), new_id("org")
    token, digest = new_secret()

    async def effect(unit: Unit) -> dict[str, Any]:
        async with acting(unit, Scope(organization_id), principal.scope):
            told = await organizations.add(unit, organization_id, asked.name)
            await organizations.add_invitation(
                unit,
                invitation_id=new_id("inv"),
                digest=digest,
                organization_id=organization_id,
                email=None,
                role=OWNER,
                invited_by=principal.actor,
                lifetime=FIRST_LINK,
            )
            await record(unit, context, "organization.create", organization_id=organization_id, target=organization_id)
        return {**told, "token": token, "link": f"/welcome#invitation={token}"}

    return await once(request, effect)


@router.delete("/api/organizations/{organization_id}", tags=["Organization"], status_code=202)
@requires(Permission.ORGANIZATIONS_WRITE)
async def erase_organization(request: Request, organization_id: str) -> Response:
    """Erase an organization: nobody works in it from now on, its keys and rows are gone within a minute or so."""
    services, context, principal = services_of(request), context_of(request.scope), caller(request)
    if organization_id == principal.organization_id:
        raise Conflict("This organization runs the installation.", param="organization_id")
    order = new_id("era")
    async with services.database.unit(principal.scope) as unit:
        async with acting(unit, Scope(organization_id), principal.scope):
            if await organizations.get(unit, organization_id) is None:
                raise NotFound("There is no such organization.", param="organization_id")
            await closing.close(unit, organization_id)
        await record(unit, context, "organization.erase", target=organization_id)
        await closing.ask_for_erasure(unit, order, principal.organization_id, organization_id)
        for channel in (logins.CHANNEL, keys.CHANNEL, privacy.CHANNEL):
            await notify(unit, channel)
    services.doorkeeper.forget()
    return json_answer({"id": order, "object": "erasure", "organization_id": organization_id}, 202)


@router.get("/api/roles", tags=["Organization"])
@requires(Permission.USERS_READ)
async def list_roles(request: Request) -> Response:
    """Built-in and custom roles with their permissions."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        custom = await organizations.roles(unit, principal.organization_id)
    built_in = [_role(name, sorted(permissions), built_in=True) for name, permissions in BUILT_IN.items()]
    return whole([*built_in, *(_role(name, permissions, built_in=False) for name, permissions in custom.items())])


@router.put("/api/roles/{name}", tags=["Organization"], openapi_extra=takes(RoleRequest))
@requires(Permission.ROLES_WRITE)
async def put_role(request: Request, name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]) -> Response:
    """Make or change a custom role; for those who have it, the change counts within seconds."""
    services, context, principal = services_of(request), context_of(request.scope), caller(request)
    permissions = check_permissions(principal, read(RoleRequest, context).permissions)
    _refuse_built_in(name)
    async with services.database.unit(principal.scope) as unit:
        before = (await organizations.roles(unit, principal.organization_id)).get(name)
        check_permissions(principal, before or [])
        await organizations.put_role(unit, principal.organization_id, name, permissions)
        await record(unit, context, "role.write", target=name, before=before, after=permissions)
        await notify(unit, logins.CHANNEL)
    services.doorkeeper.forget()
    return json_answer(_role(name, permissions, built_in=False))


@router.delete("/api/roles/{name}", tags=["Organization"])
@requires(Permission.ROLES_WRITE)
async def remove_role(request: Request, name: str) -> Response:
    """Remove a custom role that nobody has, and that no invitation gives."""
    context, principal = context_of(request.scope), caller(request)
    _refuse_built_in(name)
    async with services_of(request).database.unit(principal.scope) as unit:
        if not await organizations.remove_role(unit, principal.organization_id, name):
            raise NotFound("There is no such role.", param="name")
        if await organizations.holders(unit, principal.organization_id, name):  # counted last: nobody gets it meanwhile
            raise Conflict("Members have this role, or invitations give it: give them another one first.")
        await record(unit, context, "role.remove", target=name)
    return json_answer({"id": name, "object": "role", "deleted": True})


def _role(name: str, permissions: list[str], *, built_in: bool) -> dict[str, object]:
    return {"id": name, "object": "role", "permissions": permissions, "built_in": built_in}


def _refuse_built_in(name: str) -> None:
    if name in BUILT_IN:
        raise Conflict("The built-in roles stay as they are: choose another name.", param="name")
