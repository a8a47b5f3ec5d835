"""Is it alive, is it ready, what does it measure."""

from fastapi import Request, Response

from api.answers import json_answer
from api.exposition import exposition
from api.policy import guarded_router, local_or, public
from api.principal import Permission
from api.services import services_of

router = guarded_router()


@router.get("/livez", tags=["Health"])
@public
async def livez() -> Response:
    """This process answers."""
    return json_answer({"status": "alive"})


@router.get("/-/healthz", tags=["Health"], include_in_schema=False)
@public
async def healthz() -> Response:
    """By KubeRay's name for it."""
    return Response("success", media_type="text/plain")


@router.get("/health", tags=["Health"])
@router.get("/readyz", tags=["Health"])
@public
async def readyz(request: Request) -> Response:
    """Requests can be answered; the parts tell what is missing."""
    ready, parts = await services_of(request).readiness.report()
    return json_answer({"status": "ready" if ready else "starting", "parts": parts}, 200 if ready else 503)


@router.get("/metrics", tags=["Health"])
@local_or(Permission.METRICS_READ)
async def metrics(request: Request) -> Response:
    """Prometheus: the ingress, every engine, and Ray, under their own names."""
    return Response(await exposition(services_of(request)), media_type="text/plain; version=0.0.4; charset=utf-8")
