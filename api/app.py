"""The application: routes, errors, the gate. It is built the same in a replica and in a test."""

import logging
import time
from importlib.metadata import version

from fastapi import FastAPI

from api import documents, errors, metrics
from api.context import Context
from api.gate import App, Gate
from api.policy import check_guarded
from api.routes import (
    audit,
    auth,
    conversations,
    files,
    health,
    identities,
    inference,
    keys,
    models,
    oidc,
    organization,
    pages,
    passkeys,
    privacy,
    scim,
    teams,
    two_factor,
    users,
    vector_store_batches,
    vector_store_files,
    vector_stores,
)
from api.services import Services

log = logging.getLogger("manta.access")

ROUTERS = tuple(
    module.router
    for module in (
        inference,
        models,
        keys,
        auth,
        oidc,
        identities,
        two_factor,
        passkeys,
        users,
        organization,
        teams,
        conversations,
        files,
        vector_stores,
        vector_store_files,
        vector_store_batches,
        privacy,
        audit,
        scim,
        health,
        pages,
    )
)


def create_app(services: Services) -> App:
    """The ASGI application around `services`.

    Raises:
        RuntimeError: a route has no policy.
    """
    app = FastAPI(title="Manta", version=version("manta"), openapi_url=None, docs_url=None, redoc_url=None)
    app.state.services = services
    for router in ROUTERS:
        app.include_router(router)
    errors.install(app)
    documents.install(app)
    check_guarded(app)
    configuration = services.cluster.configuration
    uploads = {("POST", files.UPLOAD)}
    return Gate(app, configuration.ingress, configuration.general_settings, observe, uploads)


def observe(context: Context) -> None:
    """A request is over: count it, and log one line without its content."""
    metrics.REQUESTS.labels(context.route or "none", context.status).inc()
    metrics.PHASES.labels("total", context.route or "none").observe(time.perf_counter() - context.arrived_at)
    log.debug("%s %s %s %d ms", context.request_id, context.route, context.status, context.elapsed_ms())
