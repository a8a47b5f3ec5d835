"""OpenAI's list of models, and Manta's own with what stands behind each."""

from typing import Any

from fastapi import Request, Response
from pydantic import ValidationError

from api.answers import json_answer
from api.audit.record import record
from api.context import context_of
from api.db import models as model_queries
from api.db.notifications import notify
from api.db.session import Unit
from api.directory import Entry
from api.documents import takes
from api.idempotency import once
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.services import services_of
from configs.errors import BadRequest, ConfigurationError, Conflict, ModelNotFound
from configs.problems import explain_model
from configs.specs import ModelSpec
from serving import backends

router = guarded_router()


@router.get("/v1/models", tags=["OpenAI"])
@requires(Permission.INFERENCE)
async def list_models(request: Request) -> Response:
    """Every name that can be called."""
    principal, entries = caller(request), services_of(request).directory.entries()
    data = [_openai(entry) for entry in entries if principal.may_call(entry.name)]
    return json_answer({"object": "list", "data": data})


@router.get("/v1/models/{name:path}", tags=["OpenAI"])
@requires(Permission.INFERENCE)
async def get_model(request: Request, name: str) -> Response:
    """One name that can be called."""
    return json_answer(_openai(services_of(request).directory.entry(name)))


@router.get("/api/models", tags=["Models"])
@requires(Permission.MODELS_READ)
async def list_served(request: Request) -> Response:
    """Every model: source, kind, replicas, state."""
    services = services_of(request)
    states = await services.readiness.states()
    async with services.database.unit() as session:
        rows = await model_queries.all_rows(session)
        origins = await model_queries.origins(session)
    data = [_served(spec, origins.get(spec.model_name, "api"), states.get(spec.model_name)) for spec, _ in rows]
    return json_answer({"object": "list", "data": data})


@router.post("/api/models", tags=["Models"], status_code=201, openapi_extra=takes(ModelSpec))
@requires(Permission.MODELS_WRITE)
async def add_model(request: Request) -> Response:
    """Serve one more model; the others go on. The body is an entry of the YAML's `model_list`."""
    services, context = services_of(request), context_of(request.scope)
    spec = _spec_of(context.json)

    async def effect(unit: Unit) -> dict[str, Any]:
        taken = names_of(*(served for served, _ in await model_queries.all_rows(unit)))
        if (twice := sorted(taken & names_of(spec))) or not await model_queries.add(unit, spec):
            name = twice[0] if twice else spec.model_name
            raise Conflict(f"A model or adapter of the name {name!r} is served already.", param="model_name")
        await record(unit, context, "model.add", target=spec.model_name)
        await notify(unit, model_queries.CHANNEL)
        return _served(spec, "api", None)

    answer = await once(request, effect)
    await services.directory.refresh()
    return answer


@router.delete("/api/models/{name:path}", tags=["Models"])
@requires(Permission.MODELS_WRITE)
async def remove_model(request: Request, name: str) -> Response:
    """Stop serving a model; requests that run are finished."""
    services = services_of(request)
    async with services.database.unit() as session:
        if not await model_queries.remove(session, name):
            raise ModelNotFound("There is no such model. `GET /api/models` lists those there are.", param="name")
        await record(session, context_of(request.scope), "model.remove", target=name)
        await notify(session, model_queries.CHANNEL)
    await services.directory.refresh()
    return json_answer({"id": name, "object": "model", "deleted": True})


def names_of(*specs: ModelSpec) -> set[str]:
    """What clients can call: models and the adapters they carry."""
    return {name for spec in specs for name in (spec.model_name, *(adapter.name for adapter in spec.adapters))}


def _openai(entry: Entry) -> dict[str, Any]:
    parent = entry.base if entry.name != entry.base else None
    return {"id": entry.name, "object": "model", "created": entry.created, "owned_by": "manta", "parent": parent}


def _served(spec: ModelSpec, origin: str, state: dict[str, Any] | None) -> dict[str, Any]:
    known = state or {"state": "starting", "phase": "waiting", "replicas": 0, "message": ""}
    return {
        "id": spec.model_name,
        "object": "manta.model",
        "kind": spec.kind.value,
        "source": spec.params.source,
        "backend": spec.params.backend,
        "origin": origin,
        "replicas": known["replicas"],
        "state": known["state"],
        "phase": known["phase"],
        "message": known["message"],
    }


def _spec_of(body: Any) -> ModelSpec:  # noqa: ANN401  any JSON
    if not isinstance(body, dict):
        raise BadRequest("Send an entry of `model_list` as a JSON object.")
    try:
        spec = ModelSpec.model_validate(body)
        backends.check(spec)
    except ConfigurationError as error:
        raise BadRequest(error.message, param="params.model") from error
    except ValidationError as error:
        param, sentence = explain_model(error)[0]
        raise BadRequest(f"{param}: {sentence}" if param else sentence, param=param or None) from None
    return spec
