"""Register, sign in and out, sessions, passwords."""

from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field

from api.answers import json_answer
from api.audit.record import record
from api.context import context_of
from api.cookies import refresh_of, set_refresh
from api.db import accounts as account_queries
from api.db import sessions as session_queries
from api.documents import takes
from api.identity import registration
from api.identity.newcomers import Newcomer
from api.identity.secrets import digest_of
from api.identity.sessions import SignedIn
from api.identity.two_factor.recent import insist_on_password
from api.policy import caller, guarded_router, public, requires
from api.principal import Permission
from api.privacy.documents import TO_ACCEPT, accepted_documents
from api.scope import Scope
from api.services import services_of
from api.validation import Wire, read
from configs.errors import NotFound, Unauthorized

router = guarded_router()

Email = Annotated[str, Field(min_length=3, max_length=254)]
Password = Annotated[str, Field(min_length=1, max_length=256)]
NewPassword = Annotated[str, Field(min_length=10, max_length=256)]
Name = Annotated[str, Field(max_length=100)]
Secret = Annotated[str, Field(min_length=1, max_length=128)]
Id = Annotated[str, Field(min_length=1, max_length=64)]


class RegisterRequest(Wire):
    """Who comes; `invitation` also takes the first admin's link.

    `accepts` names the documents that were agreed to with their versions, as /api/legal shows them; it is needed where
    everybody may register.
    """

    email: Email
    password: NewPassword
    name: Name = ""
    invitation: Secret | None = None
    accepts: dict[Id, Id] | None = None


class LoginRequest(Wire):
    """A password, and a code where a second factor is on."""

    email: Email
    password: Password
    code: Secret | None = None
    organization_id: Id | None = None


class RefreshRequest(Wire):
    """Another organization of the same person to go on in."""

    organization_id: Id | None = None


class PasswordRequest(Wire):
    """The current password, where the account has one, and the next one."""

    current: Password | None = None
    new: NewPassword


class AddressRequest(Wire):
    """Whose password is lost."""

    email: Email


class ResetRequest(Wire):
    """The secret of the link, and the next password."""

    token: Secret
    password: NewPassword


class LinkRequest(Wire):
    """The secret of the link."""

    token: Secret


class ProfileRequest(Wire):
    """What a person changes of their profile."""

    name: Name


@router.post("/api/auth/register", tags=["Sign-in"], status_code=201, openapi_extra=takes(RegisterRequest))
@public
async def register(request: Request) -> Response:
    """Make an account and sign in."""
    services, context = services_of(request), context_of(request.scope)
    asked = read(RegisterRequest, context)
    rule = registration.rule(services.cluster.configuration, request.scope)
    privacy = services.cluster.configuration.privacy
    needed = TO_ACCEPT if rule == "open" and asked.invitation is None and privacy.controller.complete else ()
    accepted = accepted_documents(asked.accepts or {}, privacy, needed)
    proof = digest_of(asked.invitation) if asked.invitation is not None else None
    newcomer = Newcomer(asked.email, asked.name, proof, agent_of(request), accepted)
    return signed_in(request, await services.accounts.register(context, newcomer, asked.password, rule), 201)


@router.post("/api/auth/login", tags=["Sign-in"], openapi_extra=takes(LoginRequest))
@public
async def login(request: Request) -> Response:
    """Sign in with a password: an access token, and a cookie that renews it."""
    services, context = services_of(request), context_of(request.scope)
    asked = read(LoginRequest, context)
    made = await services.accounts.login(
        context, asked.email, asked.password, agent_of(request), asked.organization_id, asked.code
    )
    return signed_in(request, made)


@router.post("/api/auth/refresh", tags=["Sign-in"], openapi_extra=takes(RefreshRequest))
@public
async def refresh(request: Request) -> Response:
    """The next access token, by the cookie; with `organization_id` in another organization of the person."""
    services, context = services_of(request), context_of(request.scope)
    services.origins.check(request.scope)
    asked = read(RefreshRequest, context) if context.body else RefreshRequest()
    token = refresh_of(request.scope)
    if token is None:
        raise Unauthorized("There is no session to renew: sign in.")
    return signed_in(request, await services.sessions.renew(context, token, asked.organization_id))


@router.post("/api/auth/logout", tags=["Sign-in"])
@requires(Permission.ACCOUNT)
async def logout(request: Request) -> Response:
    """End this session."""
    services, context, principal = services_of(request), context_of(request.scope), caller(request)
    assert principal.session_id is not None
    await services.sessions.end(context, principal.scope, [principal.session_id], reason="signed out")
    services.doorkeeper.forget()
    response = json_answer({"id": principal.session_id, "object": "session", "ended": True})
    set_refresh(response, request.scope, "", 0)
    return response


@router.get("/api/auth/me", tags=["Sign-in"])
@requires(Permission.ACCOUNT)
async def me(request: Request) -> Response:
    """Who is signed in, where, and with which rights."""
    principal, services = caller(request), services_of(request)
    assert principal.user_id is not None
    async with services.database.unit(principal.scope) as unit:
        user = await account_queries.get(unit, principal.user_id)
        organizations = await account_queries.organizations_of(unit, principal.user_id)
    assert user is not None
    return json_answer(
        {
            **account_queries.as_json(user),
            "organization_id": principal.organization_id,
            "organizations": [{"id": each, "name": name, "role": role} for each, name, role in organizations],
            "permissions": sorted(principal.permissions),
            "second_factor_needed": principal.needs_second_factor,
        }
    )


@router.patch("/api/auth/me", tags=["Sign-in"], openapi_extra=takes(ProfileRequest))
@requires(Permission.ACCOUNT)
async def change_me(request: Request) -> Response:
    """Change the profile."""
    principal, context = caller(request), context_of(request.scope)
    asked = read(ProfileRequest, context)
    assert principal.user_id is not None
    async with services_of(request).database.unit(principal.scope) as unit:
        await account_queries.change(unit, principal.user_id, name=asked.name)
        await record(unit, context, "user.change", target=principal.user_id, attributes=["name"])
    return await me(request)


@router.get("/api/auth/sessions", tags=["Sign-in"])
@requires(Permission.ACCOUNT)
async def list_sessions(request: Request) -> Response:
    """Where the person is signed in."""
    principal = caller(request)
    assert principal.user_id is not None
    async with services_of(request).database.unit(principal.scope) as unit:
        rows = await session_queries.living(unit, principal.user_id)
    data = [session_queries.as_json(row, principal.session_id) for row in rows]
    return json_answer({"object": "list", "data": data})


@router.delete("/api/auth/sessions", tags=["Sign-in"])
@requires(Permission.ACCOUNT)
async def end_all_sessions(request: Request) -> Response:
    """Sign out everywhere, here too."""
    return await _end(request, None)


@router.delete("/api/auth/sessions/{session_id}", tags=["Sign-in"])
@requires(Permission.ACCOUNT)
async def end_session(request: Request, session_id: str) -> Response:
    """Sign out somewhere else."""
    return await _end(request, session_id)


@router.post("/api/auth/password", tags=["Sign-in"], openapi_extra=takes(PasswordRequest))
@requires(Permission.ACCOUNT_FULL)
async def change_password(request: Request) -> Response:
    """Change the password, or set the first one within ten minutes of signing in; other sessions end."""
    services, context = services_of(request), context_of(request.scope)
    asked = read(PasswordRequest, context)
    await insist_on_password(services.database, services.accounts, context, asked.current, "current")
    await services.accounts.change_password(context, asked.new)
    services.doorkeeper.forget()
    return json_answer({"changed": True})


@router.post("/api/auth/password-reset", tags=["Sign-in"], status_code=202, openapi_extra=takes(AddressRequest))
@public
async def ask_for_reset(request: Request) -> Response:
    """Send a link to choose a new password. The answer is the same for every address."""
    asked = read(AddressRequest, context_of(request.scope))
    await services_of(request).accounts.ask_for_reset(asked.email)
    return json_answer(
        {"message": "If there is such an account and this installation sends mail, a link is on its way."}, 202
    )


@router.post("/api/auth/password-reset/confirm", tags=["Sign-in"], openapi_extra=takes(ResetRequest))
@public
async def reset_password(request: Request) -> Response:
    """Choose a new password by the link; every session ends."""
    context = context_of(request.scope)
    asked = read(ResetRequest, context)
    await services_of(request).accounts.reset_password(context, asked.token, asked.password)
    services_of(request).doorkeeper.forget()
    return json_answer({"changed": True})


@router.post("/api/auth/verify-email", tags=["Sign-in"], openapi_extra=takes(LinkRequest))
@public
async def verify_email(request: Request) -> Response:
    """Confirm an address by the link."""
    context = context_of(request.scope)
    await services_of(request).accounts.verify_email(context, read(LinkRequest, context).token)
    return json_answer({"verified": True})


def signed_in(request: Request, made: SignedIn, status: int = 200) -> Response:
    """The answer to a sign-in, of whatever way."""
    body: dict[str, Any] = {
        "access_token": made.access_token,
        "token_type": "Bearer",
        "expires_in": made.expires_in,
        "user_id": made.user_id,
        "organization_id": made.organization_id,
    }
    response = json_answer(body, status)
    set_refresh(response, request.scope, made.refresh_token, services_of(request).sessions.seconds)
    return response


def agent_of(request: Request) -> str:
    """What the client calls itself."""
    return request.headers.get("user-agent", "")


async def _end(request: Request, session_id: str | None) -> Response:
    services, context, principal = services_of(request), context_of(request.scope), caller(request)
    assert principal.user_id is not None
    async with services.database.unit(principal.scope) as unit:
        living = {row.id for row in await session_queries.living(unit, principal.user_id)}
    ends = living if session_id is None else living & {session_id}
    if session_id is not None and not ends:
        raise NotFound("There is no such session.", param="session_id")
    scope = Scope(principal.organization_id, principal.user_id)
    await services.sessions.end(context, scope, sorted(ends), reason="ended by its owner")
    services.doorkeeper.forget()
    return json_answer(
        {"object": "list", "data": [{"id": each, "object": "session", "ended": True} for each in sorted(ends)]}
    )
