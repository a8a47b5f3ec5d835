"""Sign in with a provider: the list for a login page, the way there, and the way back."""

from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field

from api.answers import json_answer
from api.context import context_of
from api.cookies import binding_of, set_binding
from api.db import identities
from api.db.tables import Identity
from api.documents import errors, takes
from api.identity import registration
from api.identity.ceremony_book import LIFETIME_S, Wish, new_binding
from api.identity.provider_sign_in import CameBack, Visitor
from api.identity.secrets import digest_of
from api.identity.throttle import Guessing
from api.pages import whole
from api.policy import guarded_router, public
from api.routes.auth import Id, Secret, agent_of, signed_in
from api.services import services_of
from api.validation import Wire, read
from configs.errors import BadRequest

router = guarded_router()

MAX_STATE = 128
MAX_PARAMETER = 4096
AWAY: dict[int | str, dict[str, Any]] = {302: {"description": "To the provider."}}
LANDED: dict[int | str, dict[str, Any]] = {
    303: {"description": "Signed in: on to `identity.after_login_url`, with the session's cookie."}
}

Provider = Annotated[str, Path(min_length=1, max_length=32)]


class BeginRequest(Wire):
    """What a newcomer needs where not everybody may register: an invitation, or the documents that they accept."""

    invitation: Secret | None = None
    accepts: dict[Id, Id] | None = Field(None, max_length=10)


@router.get("/api/auth/oidc", tags=["Sign-in"])
@public
async def list_providers(request: Request) -> Response:
    """The providers, for the buttons of a login page."""
    data = [
        {
            "id": name,
            "object": "sign_in_provider",
            "kind": provider.spec.kind,
            "label": provider.spec.words,
            "login_url": f"/api/auth/oidc/{name}/login",
            "allows_registration": provider.spec.allow_registration,
        }
        for name, provider in services_of(request).sign_in.providers.items()
    ]
    return whole(data)


@router.get("/api/auth/oidc/{provider}/login", tags=["Sign-in"], status_code=302, responses=errors(401))
@public
async def go(request: Request, provider: Provider) -> Response:
    """Send the browser to the provider."""
    await services_of(request).throttle.take(Guessing.CEREMONY, context_of(request.scope).address)
    url, binding = await begin(request, provider, Wish())
    response = RedirectResponse(url, 302)
    set_binding(response, request.scope, binding, LIFETIME_S)
    return response


@router.post("/api/auth/oidc/{provider}/login", tags=["Sign-in"], openapi_extra=takes(BeginRequest))
@public
async def go_invited(request: Request, provider: Provider) -> Response:
    """The same for a page's script, which may bring an invitation: the address to send the browser to."""
    context = context_of(request.scope)
    asked = read(BeginRequest, context) if context.body else BeginRequest()
    await services_of(request).throttle.take(Guessing.CEREMONY, context.address)
    proof = digest_of(asked.invitation).hex() if asked.invitation is not None else None
    return await going(request, provider, Wish(proof=proof, accepts=dict(asked.accepts or {})))


@router.get("/api/auth/oidc/{provider}/callback", tags=["Sign-in"], responses={**LANDED, **errors(401, 403, 409)})
@public
async def come_back(request: Request, provider: Provider) -> Response:
    """Where the provider sends the browser: its answer is that of a login, or it goes on to `after_login_url`."""
    services, context = services_of(request), context_of(request.scope)
    configuration = services.cluster.configuration
    rule = registration.rule(configuration, request.scope)
    visitor = Visitor(binding_of(request.scope), agent_of(request), rule)
    made = await services.sign_in.finish(context, provider, brought(request), visitor)
    landing = configuration.identity.after_login_url
    if isinstance(made, Identity):
        services.doorkeeper.forget()
        return _landed(landing) if landing is not None else json_answer(identities.as_json(made))
    answer = signed_in(request, made)
    if landing is None:
        return answer
    landed = _landed(landing)
    for cookie in answer.headers.getlist("set-cookie"):
        landed.headers.append("set-cookie", cookie)
    return landed


async def going(request: Request, provider: str, wish: Wish) -> Response:
    """The provider's address as JSON, and this browser's binding."""
    url, binding = await begin(request, provider, wish)
    response = json_answer({"object": "authorization", "authorization_url": url, "expires_in": LIFETIME_S})
    set_binding(response, request.scope, binding, LIFETIME_S)
    return response


async def begin(request: Request, provider: str, wish: Wish) -> tuple[str, str]:
    """Where to send the browser, and its binding: the one it has, so that two tabs do not disturb each other."""
    binding = binding_of(request.scope) or new_binding()
    url = await services_of(request).sign_in.begin(provider, redirect_uri(request, provider), binding, wish)
    return url, binding


def redirect_uri(request: Request, provider: str) -> str:
    """What is registered at the provider: under `public_url`, else under the name that this request came by."""
    general = services_of(request).cluster.configuration.general_settings
    site = str(general.public_url or f"{request.scope['scheme']}://{request.headers.get('host', general.host)}")
    return f"{site.rstrip('/')}/api/auth/oidc/{provider}/callback"


def brought(request: Request) -> CameBack:
    """The parameters of the way back, each at most once.

    Raises:
        BadRequest: one stands twice or is too long, or there is no state.
    """
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found or len(value) > MAX_PARAMETER:
            raise BadRequest("The address that the provider sent you back to is not valid.")
        found[name] = value
    state = found.get("state", "")
    if not 0 < len(state) <= MAX_STATE:
        raise BadRequest("The address that the provider sent you back to has no state.", param="state")
    return CameBack(state, found.get("code"), found.get("error"), found.get("iss"))


def _landed(url: str) -> Response:
    return RedirectResponse(url, 303)
