"""The files in OpenAI's vector stores: added, listed, described, read and taken out."""

from typing import Any

from fastapi import Request, Response

from api.answers import json_answer
from api.context import context_of
from api.db import store_files as queries
from api.db.session import Unit
from api.db.windows import Window
from api.documents import takes
from api.idempotency import once
from api.knowledge.store_files import Wanted
from api.openai.vector_stores import AUTO, NewStoreFile, StoreFileChange
from api.pages import After, Limit, part
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.routes.vector_stores import FileStatus, Order
from api.services import services_of
from api.validation import read

router = guarded_router()

FILES = "/v1/vector_stores/{vector_store_id}/files"
FILE = FILES + "/{file_id}"


@router.post(FILES, tags=["OpenAI"], openapi_extra=takes(NewStoreFile))
@requires(Permission.KNOWLEDGE_WRITE)
async def add_file(request: Request, vector_store_id: str) -> Response:
    """Have a file be in a vector store. It is indexed in the background; `status` tells how far that is."""
    services = services_of(request)
    asked = read(NewStoreFile, context_of(request.scope))

    async def effect(unit: Unit) -> dict[str, Any]:
        store = await services.stores.index(unit, vector_store_id, living=True)
        await services.store_files.add(unit, store, [wanted_of(asked)], param="file_id")
        row = await services.store_files.found(unit, store.id, asked.file_id)
        return (await services.store_files.told(unit, store, [row]))[0]

    return await once(request, effect, json_answer)


@router.get(FILES, tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_READ)
async def list_files(
    request: Request,
    vector_store_id: str,
    limit: Limit = 20,
    order: Order = "desc",
    after: After = None,
    before: After = None,
    status: FileStatus = None,
) -> Response:
    """The files of a vector store."""
    services = services_of(request)
    async with services.database.unit(caller(request).scope) as unit:
        store = await services.stores.index(unit, vector_store_id)
        rows, more = await queries.page(unit, store.id, Window(limit, after, before, order == "desc"), status=status)
        return part(await services.store_files.told(unit, store, rows), more=more)


@router.get(FILE, tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_READ)
async def get_file(request: Request, vector_store_id: str, file_id: str) -> Response:
    """One file of a vector store."""
    services = services_of(request)
    async with services.database.unit(caller(request).scope) as unit:
        store = await services.stores.index(unit, vector_store_id)
        row = await services.store_files.found(unit, store.id, file_id)
        return json_answer((await services.store_files.told(unit, store, [row]))[0])


@router.post(FILE, tags=["OpenAI"], openapi_extra=takes(StoreFileChange))
@requires(Permission.KNOWLEDGE_WRITE)
async def change_file(request: Request, vector_store_id: str, file_id: str) -> Response:
    """Put other attributes in place of a file's."""
    services = services_of(request)
    asked = read(StoreFileChange, context_of(request.scope))
    async with services.database.unit(caller(request).scope) as unit:
        store = await services.stores.index(unit, vector_store_id, living=True)
        await services.store_files.describe(unit, store, file_id, asked.attributes or {})
        row = await services.store_files.found(unit, store.id, file_id)
        return json_answer((await services.store_files.told(unit, store, [row]))[0])


@router.delete(FILE, tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_WRITE)
async def remove_file(request: Request, vector_store_id: str, file_id: str) -> Response:
    """Take a file out of a vector store; the file itself stays."""
    services = services_of(request)
    async with services.database.unit(caller(request).scope) as unit:
        store = await services.stores.index(unit, vector_store_id)
        await services.store_files.remove(unit, store, file_id)
    return json_answer({"id": file_id, "object": "vector_store.file.deleted", "deleted": True})


@router.get(FILE + "/content", tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_READ)
async def get_content(request: Request, vector_store_id: str, file_id: str) -> Response:
    """The text of a file, as it was read when it was indexed."""
    services, scope = services_of(request), caller(request).scope
    text = await services.store_files.text(services.database, scope, vector_store_id, file_id)
    data = [{"type": "text", "text": text}] if text else []
    return json_answer({"object": "vector_store.file_content.page", "data": data, "has_more": False, "next_page": None})


def wanted_of(asked: NewStoreFile) -> Wanted:
    """A file as `api.knowledge` has it."""
    return Wanted(asked.file_id, *(asked.chunking_strategy or AUTO).sizes, asked.attributes)
