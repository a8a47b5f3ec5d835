"""One policy per route, held by the route itself.

    router = guarded_router()

    @router.get("/v1/models")
    @requires(Permission.MODELS_READ)
    async def ...

A route without a policy fails when it is defined, and an application with an unguarded route fails when it is built.
The decision hangs on the route object that was matched, never on a URL that was read again.
"""

from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute

from api.context import context_of
from api.hosts import LOCAL, is_address, name_of
from api.peer import peer_of
from api.principal import Permission, Principal

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
ATTRIBUTE = "__manta_policy__"
OPEN_LOCALLY = "__manta_local__"
LOOPBACK = {"127.0.0.1", "::1"}


def requires(permission: Permission) -> Callable[[Endpoint], Endpoint]:
    """Only callers who hold `permission` come in."""
    return _marked(permission)


def public(endpoint: Endpoint) -> Endpoint:
    """Everybody comes in, without a key: health, and the pages that tell how to get one."""
    return _marked(None)(endpoint)


def local_or(permission: Permission) -> Callable[[Endpoint], Endpoint]:
    """Callers on this machine come in as they are, all others with `permission`."""

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, OPEN_LOCALLY, True)
        return _marked(permission)(endpoint)

    return mark


def caller(request: Request) -> Principal:
    """Who asks, on a route that is not public."""
    principal = context_of(request.scope).principal
    assert principal is not None
    return principal


def guarded_router() -> APIRouter:
    """A router whose routes must each have a policy."""
    return APIRouter(route_class=GuardedRoute)


def check_guarded(app: FastAPI) -> None:
    """Fail if any route of `app` bypasses the policies.

    Raises:
        RuntimeError: it names the route.
    """
    for route in app.routes:
        if not isinstance(route, GuardedRoute):
            msg = f"the route {getattr(route, 'path', route)!r} has no policy; define it on a guarded_router()"
            raise RuntimeError(msg)  # noqa: TRY004  a mistake in the code, not in a value


class GuardedRoute(APIRoute):
    """A route that authenticates and authorises before it does anything else."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **kwargs: Any) -> None:  # noqa: ANN401  FastAPI's
        if not hasattr(endpoint, ATTRIBUTE):
            msg = f"the route {path!r} has no policy: put @requires(...) or @public under its decorator"
            raise RuntimeError(msg)
        self.permission: Permission | None = getattr(endpoint, ATTRIBUTE)
        self.local_is_enough: bool = getattr(endpoint, OPEN_LOCALLY, False)
        super().__init__(path, endpoint, **kwargs)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI: the function that answers."""
        answer = super().get_route_handler()
        permission, path, local = self.permission, self.path, self.local_is_enough

        async def guarded(request: Request) -> Response:
            context = context_of(request.scope)
            context.route = path
            if permission is not None and not (local and is_local(request.scope)):
                context.principal = await request.app.state.services.doorkeeper.admit(request.scope, permission)
            return await answer(request)

        return guarded


def is_local(scope: MutableMapping[str, Any]) -> bool:
    """The peer is this machine, calls it by an address or `localhost`, and no proxy stands between."""
    peer = peer_of(scope, ())
    if not peer.direct or peer.address not in LOOPBACK:
        return False
    host = name_of(dict(scope["headers"]).get(b"host", b""))
    return host == LOCAL or is_address(host)


def _marked(permission: Permission | None) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, ATTRIBUTE, permission)
        return endpoint

    return mark
