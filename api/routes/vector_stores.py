"""OpenAI's vector stores: made, listed, changed and removed."""

from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response

from api.answers import json_answer
from api.context import context_of
from api.db import vector_stores as queries
from api.db.session import Unit
from api.db.windows import Window
from api.documents import takes
from api.idempotency import once
from api.knowledge import model_calls
from api.knowledge.store_files import Wanted
from api.knowledge.stores import NOTHING
from api.openai.vector_stores import AUTO, NewStore, StoreChange
from api.pages import After, Limit, part
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.services import services_of
from api.validation import read

router = guarded_router()

Order = Literal["asc", "desc"]
FileStatus = Annotated[Literal["in_progress", "completed", "failed", "cancelled"] | None, Query(alias="filter")]
WORD = "manta"
"""What is embedded to learn how many dimensions a model has."""


@router.post("/v1/vector_stores", tags=["OpenAI"], openapi_extra=takes(NewStore))
@requires(Permission.KNOWLEDGE_WRITE)
async def create_store(request: Request) -> Response:
    """Make a vector store, with files or without."""
    services, scope = services_of(request), caller(request).scope
    asked = read(NewStore, context_of(request.scope))
    entry = model_calls.embedder(services.directory, asked.embedding_model)
    dimensions = int((await model_calls.embed(request, entry, [WORD], "query")).shape[1])
    sizes = (asked.chunking_strategy or AUTO).sizes

    async def effect(unit: Unit) -> dict[str, Any]:
        days = asked.expires_after.days if asked.expires_after else None
        row = await services.stores.create(unit, scope, _about(asked), (entry.name, dimensions), days)
        wanted = [Wanted(file_id, *sizes) for file_id in asked.file_ids or ()]
        if wanted:
            await services.store_files.add(unit, row, wanted, param="file_ids")
        return await services.stores.told(unit, row)

    return await once(request, effect, json_answer)


@router.get("/v1/vector_stores", tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_READ)
async def list_stores(
    request: Request, limit: Limit = 20, order: Order = "desc", after: After = None, before: After = None
) -> Response:
    """The caller's vector stores."""
    services, scope = services_of(request), caller(request).scope
    window = Window(limit, after, before, order == "desc")
    async with services.database.unit(scope) as unit:
        rows, more = await queries.page(unit, scope.organization_id, scope.user_id or None, window)
        return part(await services.stores.listed(unit, rows), more=more)


@router.get("/v1/vector_stores/{vector_store_id}", tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_READ)
async def get_store(request: Request, vector_store_id: str) -> Response:
    """One vector store."""
    services = services_of(request)
    async with services.database.unit(caller(request).scope) as unit:
        return json_answer(await services.stores.told(unit, await services.stores.found(unit, vector_store_id)))


@router.post("/v1/vector_stores/{vector_store_id}", tags=["OpenAI"], openapi_extra=takes(StoreChange))
@requires(Permission.KNOWLEDGE_WRITE)
async def change_store(request: Request, vector_store_id: str) -> Response:
    """Another name, description, metadata or expiry; what is not named stays."""
    services = services_of(request)
    asked = read(StoreChange, context_of(request.scope))
    days: dict[str, int | None] = {}
    if "expires_after" in asked.model_fields_set:
        days["expires_after_days"] = asked.expires_after.days if asked.expires_after else None
    async with services.database.unit(caller(request).scope) as unit:
        row = await services.stores.found(unit, vector_store_id, living=True)
        return json_answer(
            await services.stores.told(unit, await services.stores.change(unit, row, _about(asked), days))
        )


@router.delete("/v1/vector_stores/{vector_store_id}", tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_WRITE)
async def delete_store(request: Request, vector_store_id: str) -> Response:
    """Remove a vector store; the files that were in it stay."""
    services = services_of(request)
    await services.stores.remove(services.database, caller(request).scope, vector_store_id)
    return json_answer({"id": vector_store_id, "object": "vector_store.deleted", "deleted": True})


def _about(asked: NewStore | StoreChange) -> dict[str, Any]:
    """What was said of the name, the description and the metadata."""
    given = {name: getattr(asked, name) for name in NOTHING if name in asked.model_fields_set}
    return {name: NOTHING[name] if value is None else value for name, value in given.items()}
