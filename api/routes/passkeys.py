"""Passkeys: register them, list them, sign in with one.

Bodies carry the browser's own JSON: `PublicKeyCredential.parseCreationOptionsFromJSON(options)` takes what the first
step answers, and `credential.toJSON()` is what the second step wants.
"""

from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field

from api.answers import json_answer
from api.context import Context, context_of
from api.db import two_factor
from api.documents import takes
from api.identity.throttle import Guessing
from api.pages import whole
from api.policy import guarded_router, public, requires
from api.principal import Permission
from api.routes.auth import agent_of, signed_in
from api.routes.two_factor import AgainRequest
from api.services import services_of
from api.validation import Wire, read
from configs.errors import PayloadTooLarge

router = guarded_router()

MAX_BYTES = 32 * 1024
"""Of a body with a credential; a browser's is below 4 KiB."""

Name = Annotated[str, Field(min_length=1, max_length=100)]
Id = Annotated[str, Field(min_length=1, max_length=64)]


class NewPasskeyRequest(Wire):
    """The browser's answer, and a name to recognise the passkey by."""

    credential: dict[str, Any]
    name: Name = "Passkey"


class AskRequest(Wire):
    """Nothing: who signs in is not known yet."""


class PasskeySignInRequest(Wire):
    """The browser's answer."""

    credential: dict[str, Any]
    organization_id: Id | None = None


@router.get("/api/auth/passkeys", tags=["Second factor"])
@requires(Permission.ACCOUNT)
async def list_passkeys(request: Request) -> Response:
    """The person's passkeys."""
    rows = await services_of(request).passkeys.all_of(context_of(request.scope))
    return whole([two_factor.as_json(row) for row in rows])


@router.delete("/api/auth/passkeys/{passkey_id}", tags=["Second factor"])
@requires(Permission.ACCOUNT)
async def remove_passkey(request: Request, passkey_id: str) -> Response:
    """Remove a passkey."""
    services, context = services_of(request), context_of(request.scope)
    await services.passkeys.remove(context, passkey_id, _password(context))
    services.doorkeeper.forget()
    return json_answer({"id": passkey_id, "object": "passkey", "deleted": True})


@router.post("/api/auth/passkeys/register/options", tags=["Second factor"], openapi_extra=takes(AgainRequest))
@requires(Permission.ACCOUNT)
async def ask_to_register(request: Request) -> Response:
    """What the browser's `navigator.credentials.create` is given."""
    context = context_of(request.scope)
    return json_answer(await services_of(request).passkeys.ask_to_register(context, _host(request), _password(context)))


@router.post(
    "/api/auth/passkeys/register/verify",
    tags=["Second factor"],
    status_code=201,
    openapi_extra=takes(NewPasskeyRequest),
)
@requires(Permission.ACCOUNT)
async def register(request: Request) -> Response:
    """Keep the passkey that the authenticator made."""
    services, context = services_of(request), context_of(request.scope)
    _check_size(context)
    asked = read(NewPasskeyRequest, context)
    row = await services.passkeys.register(context, _host(request), asked.credential, asked.name)
    services.doorkeeper.forget()
    return json_answer(two_factor.as_json(row), 201)


@router.post("/api/auth/passkeys/login/options", tags=["Sign-in"], openapi_extra=takes(AskRequest))
@public
async def ask_to_sign_in(request: Request) -> Response:
    """What the browser's `navigator.credentials.get` is given; it names nobody."""
    context = context_of(request.scope)
    if context.body:
        read(AskRequest, context)
    await services_of(request).throttle.take(Guessing.CEREMONY, context.address)
    return json_answer(await services_of(request).passkeys.ask_to_sign_in(_host(request)))


@router.post("/api/auth/passkeys/login/verify", tags=["Sign-in"], openapi_extra=takes(PasskeySignInRequest))
@public
async def sign_in(request: Request) -> Response:
    """Sign in with a passkey, which is both factors; the answer is that of a login."""
    services, context = services_of(request), context_of(request.scope)
    _check_size(context)
    asked = read(PasskeySignInRequest, context)
    made = await services.passkeys.sign_in(
        context, _host(request), asked.credential, agent_of(request), asked.organization_id
    )
    return signed_in(request, made)


def _host(request: Request) -> bytes:
    return request.headers.get("host", "").encode("latin-1")


def _password(context: Context) -> str | None:
    return read(AgainRequest, context).password if context.body else None


def _check_size(context: Context) -> None:
    if len(context.body) > MAX_BYTES:
        raise PayloadTooLarge(f"A passkey's answer has at most {MAX_BYTES} bytes.")
