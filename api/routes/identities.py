"""A person's identities at sign-in providers: list them, link another, remove one."""

from fastapi import Request, Response

from api.answers import json_answer
from api.context import Context, context_of
from api.db import identities
from api.documents import takes
from api.identity.ceremony_book import Wish
from api.pages import whole
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.routes.oidc import Provider, going
from api.routes.two_factor import AgainRequest
from api.services import services_of
from api.validation import read

router = guarded_router()


@router.get("/api/auth/identities", tags=["Sign-in"])
@requires(Permission.ACCOUNT)
async def list_identities(request: Request) -> Response:
    """The caller's identities."""
    rows = await services_of(request).linked.all_of(context_of(request.scope))
    return whole([identities.as_json(row) for row in rows])


@router.post("/api/auth/identities/{provider}/link", tags=["Sign-in"], openapi_extra=takes(AgainRequest))
@requires(Permission.ACCOUNT_FULL)
async def link(request: Request, provider: Provider) -> Response:
    """Begin to link an account at a provider: the address to send this browser to."""
    context, principal = context_of(request.scope), caller(request)
    await services_of(request).linked.confirm(context, _password(context))
    return await going(request, provider, Wish(link_to=principal.user_id, session_id=principal.session_id))


@router.delete("/api/auth/identities/{identity_id}", tags=["Sign-in"])
@requires(Permission.ACCOUNT_FULL)
async def remove(request: Request, identity_id: str) -> Response:
    """Remove an identity; the last way to sign in stays."""
    context = context_of(request.scope)
    await services_of(request).linked.remove(context, identity_id, _password(context))
    return json_answer({"id": identity_id, "object": "identity", "deleted": True})


def _password(context: Context) -> str | None:
    return read(AgainRequest, context).password if context.body else None
