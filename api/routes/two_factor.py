"""The second factor: an authenticator app with recovery codes, and the roles that need one."""

from typing import Annotated

from fastapi import Request, Response
from pydantic import Field

from api.answers import json_answer
from api.context import context_of
from api.documents import takes
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.services import services_of
from api.validation import Wire, read

router = guarded_router()

Code = Annotated[str, Field(min_length=1, max_length=64)]
Password = Annotated[str, Field(min_length=1, max_length=256)]
RoleName = Annotated[str, Field(min_length=1, max_length=64)]


class AgainRequest(Wire):
    """The password once more, where the session is older than ten minutes."""

    password: Password | None = None


class CodeRequest(Wire):
    """A code of the app, or a recovery code."""

    code: Code


class RolesRequest(Wire):
    """All roles that work with a second factor only; `[]` is none."""

    roles: Annotated[list[RoleName], Field(max_length=100)]


@router.get("/api/auth/two-factor", tags=["Second factor"])
@requires(Permission.ACCOUNT)
async def get_state(request: Request) -> Response:
    """Which second factors the person has, and whether their role needs one."""
    return json_answer(await services_of(request).enrolment.state(context_of(request.scope)))


@router.post("/api/auth/totp", tags=["Second factor"], status_code=201, openapi_extra=takes(AgainRequest))
@requires(Permission.ACCOUNT)
async def start_totp(request: Request) -> Response:
    """Begin to set up an app: its secret, as text, as a link and as a picture. It is shown here only."""
    context = context_of(request.scope)
    asked = read(AgainRequest, context) if context.body else AgainRequest()
    started = await services_of(request).enrolment.start(context, asked.password)
    return json_answer({"object": "totp", "secret": started.secret, "uri": started.uri, "svg": started.svg}, 201)


@router.post("/api/auth/totp/confirm", tags=["Second factor"], openapi_extra=takes(CodeRequest))
@requires(Permission.ACCOUNT)
async def confirm_totp(request: Request) -> Response:
    """The app's first code turns it on. The recovery codes are in this answer only; other sessions end."""
    services, context = services_of(request), context_of(request.scope)
    written = await services.enrolment.confirm(context, read(CodeRequest, context).code)
    services.doorkeeper.forget()
    return json_answer({"object": "recovery_codes", "recovery_codes": written})


@router.post("/api/auth/totp/verify", tags=["Second factor"], openapi_extra=takes(CodeRequest))
@requires(Permission.ACCOUNT)
async def show_code(request: Request) -> Response:
    """Show the second factor in a session that was begun without it (by a provider), or long ago."""
    services, context = services_of(request), context_of(request.scope)
    await services.enrolment.show(context, read(CodeRequest, context).code)
    services.doorkeeper.forget()
    return json_answer({"verified": True})


@router.delete("/api/auth/totp", tags=["Second factor"], openapi_extra=takes(CodeRequest))
@requires(Permission.ACCOUNT)
async def stop_totp(request: Request) -> Response:
    """Turn the app off; the recovery codes go with it."""
    services, context = services_of(request), context_of(request.scope)
    await services.enrolment.stop(context, read(CodeRequest, context).code)
    services.doorkeeper.forget()
    return json_answer({"object": "totp", "deleted": True})


@router.post("/api/auth/recovery-codes", tags=["Second factor"], openapi_extra=takes(CodeRequest))
@requires(Permission.ACCOUNT)
async def renew_recovery_codes(request: Request) -> Response:
    """Ten new recovery codes; all old ones are void."""
    context = context_of(request.scope)
    written = await services_of(request).enrolment.renew_codes(context, read(CodeRequest, context).code)
    return json_answer({"object": "recovery_codes", "recovery_codes": written})


@router.get("/api/admin/two-factor", tags=["Second factor"])
@requires(Permission.ORGANIZATION_WRITE)
async def get_required(request: Request) -> Response:
    """The roles that work with a second factor only."""
    return json_answer({"roles": await services_of(request).enrolment.required(caller(request))})


@router.put("/api/admin/two-factor", tags=["Second factor"], openapi_extra=takes(RolesRequest))
@requires(Permission.ORGANIZATION_WRITE)
async def require(request: Request) -> Response:
    """Say which roles work with a second factor only; who has such a role and none yet can only set one up."""
    services, context = services_of(request), context_of(request.scope)
    roles = await services.enrolment.require(context, read(RolesRequest, context).roles)
    services.doorkeeper.forget()
    return json_answer({"roles": roles})


@router.delete("/api/users/{user_id}/two-factor", tags=["Second factor"])
@requires(Permission.USERS_WRITE)
async def reset(request: Request, user_id: str) -> Response:
    """Take a member's app, recovery codes and passkeys away, for they lost them; their sessions here end."""
    services = services_of(request)
    await services.enrolment.reset(context_of(request.scope), user_id)
    services.doorkeeper.forget()
    return json_answer({"id": user_id, "object": "two_factor", "deleted": True})
