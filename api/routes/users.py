"""An organization's people: members, their roles, invitations."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field

from api.answers import json_answer
from api.audit.record import record
from api.context import context_of
from api.db import accounts, logins, organizations
from api.db import sessions as session_queries
from api.db.notifications import notify
from api.db.session import Unit
from api.documents import takes
from api.idempotency import REPLAYED, once
from api.identity.members import check_change, check_holds_no_more, check_role
from api.identity.newcomers import accept
from api.identity.people import NO_USER, checked_email
from api.identity.secrets import digest_of, new_secret
from api.ids import new_id
from api.pages import After, Limit, page, whole
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.roles import MEMBER
from api.services import services_of
from api.sharing import unshared
from api.validation import Wire, read
from configs.errors import Conflict, NotFound

router = guarded_router()

RoleName = Annotated[str, Field(min_length=1, max_length=64)]


class ChangeUserRequest(Wire):
    """What is to be another; what is not named stays."""

    name: Annotated[str, Field(max_length=100)] | None = None
    role: RoleName | None = None
    status: Literal["active", "disabled"] | None = None


class InvitationRequest(Wire):
    """For one address, or for whoever gets the link."""

    email: Annotated[str, Field(min_length=3, max_length=254)] | None = None
    role: RoleName = MEMBER
    expires_in_s: Annotated[int, Field(ge=60, le=30 * 86400)] = 7 * 86400


class AcceptRequest(Wire):
    """The secret of the invitation's link."""

    invitation: Annotated[str, Field(min_length=1, max_length=128)]


@router.get("/api/users", tags=["Organization"])
@requires(Permission.USERS_READ)
async def list_users(request: Request, limit: Limit = 20, after: After = None) -> Response:
    """The organization's members."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        rows = await organizations.members(unit, principal.organization_id, limit=limit + 1, after=after)
    return page([{**accounts.as_json(user), "role": role} for user, role in rows], limit)


@router.get("/api/users/{user_id}", tags=["Organization"])
@requires(Permission.USERS_READ)
async def get_user(request: Request, user_id: str) -> Response:
    """One member."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        return json_answer(await _told(unit, principal.organization_id, user_id))


@router.patch("/api/users/{user_id}", tags=["Organization"], openapi_extra=takes(ChangeUserRequest))
@requires(Permission.USERS_WRITE)
async def change_user(request: Request, user_id: str) -> Response:
    """Change a member's name, role or state; it counts within seconds everywhere, on answers that stream too."""
    services, context, principal = services_of(request), context_of(request.scope), caller(request)
    asked = read(ChangeUserRequest, context)
    async with services.database.unit(principal.scope) as unit:
        found = await organizations.member(unit, principal.organization_id, user_id)
        if found is None:
            raise NotFound(NO_USER, param="user_id")
        custom = await organizations.roles(unit, principal.organization_id)
        if asked.role is not None and asked.role != found[1]:
            await check_change(unit, principal, user_id, found[1], custom)
            check_role(principal, asked.role, custom)
            await organizations.set_role(unit, principal.organization_id, user_id, asked.role)
            await record(unit, context, "user.role", target=user_id, before=found[1], after=asked.role)
        if asked.status is not None and asked.status != found[0].status:
            await check_change(unit, principal, user_id, found[1], custom)
            await _set_status(unit, user_id, asked.status)
            await record(unit, context, "user.status", target=user_id, after=asked.status)
        if asked.name is not None and asked.name != found[0].name:
            check_holds_no_more(principal, found[1], custom)
            await _check_only_here(unit, user_id, "they change their name themselves")
            await accounts.change(unit, user_id, name=asked.name)
            await record(unit, context, "user.change", target=user_id, attributes=["name"])
        await notify(unit, logins.CHANNEL)
        told = await _told(unit, principal.organization_id, user_id)
    services.doorkeeper.forget()
    return json_answer(told)


@router.delete("/api/users/{user_id}", tags=["Organization"])
@requires(Permission.USERS_WRITE)
async def remove_user(request: Request, user_id: str) -> Response:
    """End a membership: the person's sessions and keys here end with it. The account itself stays."""
    services, context, principal = services_of(request), context_of(request.scope), caller(request)

    async def act() -> None:
        async with services.database.unit(principal.scope) as unit:
            found = await organizations.member(unit, principal.organization_id, user_id)
            if found is None:
                raise NotFound(NO_USER, param="user_id")
            await check_change(
                unit, principal, user_id, found[1], await organizations.roles(unit, principal.organization_id)
            )
            await organizations.leave(unit, principal.organization_id, user_id)
            await session_queries.end_in(unit, principal.organization_id, user_id)
            await record(unit, context, "user.remove", target=user_id)
            await notify(unit, logins.CHANNEL)

    await unshared(services.database, services.conversations, act)
    services.doorkeeper.forget()
    return json_answer({"id": user_id, "object": "user", "removed": True})


@router.get("/api/invitations", tags=["Organization"])
@requires(Permission.USERS_READ)
async def list_invitations(request: Request) -> Response:
    """Invitations that can still be used."""
    principal = caller(request)
    async with services_of(request).database.unit(principal.scope) as unit:
        rows = await organizations.invitations(unit, principal.organization_id)
    return whole([organizations.invitation_as_json(row) for row in rows])


@router.post("/api/invitations", tags=["Organization"], status_code=201, openapi_extra=takes(InvitationRequest))
@requires(Permission.USERS_WRITE)
async def invite(request: Request) -> Response:
    """Invite somebody; the link is in this answer only, and in a mail where the installation sends mail."""
    services, context, principal = services_of(request), context_of(request.scope), caller(request)
    asked = read(InvitationRequest, context)
    email = checked_email(asked.email) if asked.email is not None else None
    token, digest = new_secret()
    link = f"/welcome#invitation={token}"

    async def effect(unit: Unit) -> dict[str, Any]:
        check_role(principal, asked.role, await organizations.roles(unit, principal.organization_id))
        row = await organizations.add_invitation(
            unit,
            invitation_id=new_id("inv"),
            digest=digest,
            organization_id=principal.organization_id,
            email=email,
            role=asked.role,
            invited_by=principal.user_id or principal.key_id,
            lifetime=timedelta(seconds=asked.expires_in_s),
        )
        await record(unit, context, "invitation.create", target=row.id, role=asked.role)
        return {**organizations.invitation_as_json(row), "token": token, "link": link}

    answer = await once(request, effect)
    if email is not None and services.mailer is not None and REPLAYED not in answer.headers:
        services.mailer.send(email, "invite", path=link)
    return answer


@router.post("/api/invitations/accept", tags=["Sign-in"], status_code=201, openapi_extra=takes(AcceptRequest))
@requires(Permission.ACCOUNT_FULL)
async def accept_invitation(request: Request) -> Response:
    """Join another organization with the account that one has; `/api/auth/refresh` goes on in it."""
    services, context = services_of(request), context_of(request.scope)
    proof = digest_of(read(AcceptRequest, context).invitation)

    async def effect(unit: Unit) -> dict[str, Any]:
        place = await accept(unit, context, proof, caller(request))
        await notify(unit, logins.CHANNEL)
        return {"object": "membership", "organization_id": place.organization_id, "role": place.role}

    answer = await once(request, effect)
    services.doorkeeper.forget()
    return answer


@router.delete("/api/invitations/{invitation_id}", tags=["Organization"])
@requires(Permission.USERS_WRITE)
async def take_back(request: Request, invitation_id: str) -> Response:
    """Take an invitation back."""
    principal, context = caller(request), context_of(request.scope)
    async with services_of(request).database.unit(principal.scope) as unit:
        if not await organizations.remove_invitation(unit, principal.organization_id, invitation_id):
            raise NotFound("There is no such invitation.", param="invitation_id")
        await record(unit, context, "invitation.remove", target=invitation_id)
    return json_answer({"id": invitation_id, "object": "invitation", "deleted": True})


async def _told(unit: Unit, organization_id: str, user_id: str) -> dict[str, Any]:
    found = await organizations.member(unit, organization_id, user_id)
    if found is None:
        raise NotFound(NO_USER, param="user_id")
    await unit.refresh(found[0])
    return {**accounts.as_json(found[0]), "role": found[1]}


async def _check_only_here(unit: Unit, user_id: str, instead: str) -> None:
    person = await logins.find(unit, "user", user_id)
    assert person is not None
    if len(person["memberships"]) > 1:
        raise Conflict(f"This person belongs to other organizations too: {instead}.")


async def _set_status(unit: Unit, user_id: str, status: str) -> None:
    await _check_only_here(unit, user_id, "remove them from this one instead")
    await accounts.change(unit, user_id, status=status)
    if status == "disabled":
        await session_queries.end(unit, user_id)
