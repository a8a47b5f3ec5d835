"""Files that are added to one of OpenAI's vector stores together."""

from typing import Any

from fastapi import Request, Response

from api.answers import json_answer
from api.context import context_of
from api.db import store_files as queries
from api.db.session import Unit
from api.db.windows import Window
from api.documents import takes
from api.idempotency import once
from api.openai.vector_stores import NewBatch
from api.pages import After, Limit, part
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.routes.vector_store_files import wanted_of
from api.routes.vector_stores import FileStatus, Order
from api.services import services_of
from api.validation import read

router = guarded_router()

BATCHES = "/v1/vector_stores/{vector_store_id}/file_batches"
BATCH = BATCHES + "/{batch_id}"


@router.post(BATCHES, tags=["OpenAI"], openapi_extra=takes(NewBatch))
@requires(Permission.KNOWLEDGE_WRITE)
async def add_batch(request: Request, vector_store_id: str) -> Response:
    """Have up to 2,000 files be in a vector store."""
    services = services_of(request)
    asked = read(NewBatch, context_of(request.scope))

    async def effect(unit: Unit) -> dict[str, Any]:
        store = await services.stores.index(unit, vector_store_id, living=True)
        row = await services.store_files.add_batch(unit, store, [wanted_of(each) for each in asked.all_files])
        return await services.store_files.batch_told(unit, store, row)

    return await once(request, effect, json_answer)


@router.get(BATCH, tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_READ)
async def get_batch(request: Request, vector_store_id: str, batch_id: str) -> Response:
    """How far a batch is."""
    services = services_of(request)
    async with services.database.unit(caller(request).scope) as unit:
        store = await services.stores.index(unit, vector_store_id)
        row = await services.store_files.batch(unit, store.id, batch_id)
        return json_answer(await services.store_files.batch_told(unit, store, row))


@router.post(BATCH + "/cancel", tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_WRITE)
async def cancel_batch(request: Request, vector_store_id: str, batch_id: str) -> Response:
    """Leave out what of a batch is not indexed yet."""
    services = services_of(request)
    async with services.database.unit(caller(request).scope) as unit:
        store = await services.stores.index(unit, vector_store_id)
        row = await services.store_files.batch(unit, store.id, batch_id)
        await services.store_files.cancel(unit, row)
        return json_answer(await services.store_files.batch_told(unit, store, row))


@router.get(BATCH + "/files", tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_READ)
async def list_batch_files(
    request: Request,
    vector_store_id: str,
    batch_id: str,
    limit: Limit = 20,
    order: Order = "desc",
    after: After = None,
    before: After = None,
    status: FileStatus = None,
) -> Response:
    """The files of a batch."""
    services = services_of(request)
    window = Window(limit, after, before, order == "desc")
    async with services.database.unit(caller(request).scope) as unit:
        store = await services.stores.index(unit, vector_store_id)
        row = await services.store_files.batch(unit, store.id, batch_id)
        rows, more = await queries.page(unit, store.id, window, status=status, batch_id=row.id)
        return part(await services.store_files.told(unit, store, rows), more=more)
