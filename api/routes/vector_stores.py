"""OpenAI's vector stores: made, listed, changed, searched and removed."""

from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response

from api.answers import json_answer
from api.context import context_of
from api.db import vector_stores as queries
from api.db.session import Unit
from api.db.windows import Window
from api.documents import takes
from api.idempotency import once
from api.knowledge import model_calls, rewriting
from api.knowledge.searching import Passage, SearchOptions, search
from api.knowledge.store_files import Wanted
from api.knowledge.stores import NOTHING, Embedding
from api.openai.vector_stores import AUTO, HybridSearch, NewStore, RankingOptions, SearchRequest, StoreChange
from api.pages import After, Limit, part
from api.policy import caller, guarded_router, requires
from api.principal import Permission
from api.services import services_of
from api.validation import read
from retrieval import filters

router = guarded_router()

Order = Literal["asc", "desc"]
FileStatus = Annotated[Literal["in_progress", "completed", "failed", "cancelled"] | None, Query(alias="filter")]


@router.post("/v1/vector_stores", tags=["OpenAI"], openapi_extra=takes(NewStore))
@requires(Permission.KNOWLEDGE_WRITE)
async def create_store(request: Request) -> Response:
    """Make a vector store, with files or without."""
    services, scope = services_of(request), caller(request).scope
    asked = read(NewStore, context_of(request.scope))
    entry = model_calls.embedder(services.directory, asked.embedding_model)
    embedding = Embedding(entry.name, await model_calls.probe(request, entry))
    sizes = (asked.chunking_strategy or AUTO).sizes

    async def effect(unit: Unit) -> dict[str, Any]:
        days = asked.expires_after.days if asked.expires_after else None
        row = await services.stores.create(unit, scope, _about(asked), embedding, days)
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
    """Another name, description, metadata, expiry or embedding model; what is not named stays."""
    services = services_of(request)
    asked = read(StoreChange, context_of(request.scope))
    days: dict[str, int | None] = {}
    if "expires_after" in asked.model_fields_set:
        days["expires_after_days"] = asked.expires_after.days if asked.expires_after else None
    embedding = None
    if asked.embedding_model is not None:
        entry = model_calls.embedder(services.directory, asked.embedding_model)
        embedding = Embedding(entry.name, await model_calls.probe(request, entry))
    async with services.database.unit(caller(request).scope) as unit:
        row = await services.stores.found(unit, vector_store_id, living=True)
        changed = await services.stores.change(unit, row, _about(asked), days)
        if embedding is not None:
            await services.stores.reembed(unit, changed, embedding)
        return json_answer(await services.stores.told(unit, changed))


@router.delete("/v1/vector_stores/{vector_store_id}", tags=["OpenAI"])
@requires(Permission.KNOWLEDGE_WRITE)
async def delete_store(request: Request, vector_store_id: str) -> Response:
    """Remove a vector store; the files that were in it stay."""
    services = services_of(request)
    await services.stores.remove(services.database, caller(request).scope, vector_store_id)
    return json_answer({"id": vector_store_id, "object": "vector_store.deleted", "deleted": True})


@router.post("/v1/vector_stores/{vector_store_id}/search", tags=["OpenAI"], openapi_extra=takes(SearchRequest))
@requires(Permission.KNOWLEDGE_READ)
async def search_store(request: Request, vector_store_id: str) -> Response:
    """What of a vector store answers a query, the best first."""
    asked = read(SearchRequest, context_of(request.scope))
    options = _options(asked)
    queries = await rewriting.rewritten(request, asked.query) if asked.rewrite_query else asked.query
    found = await search(request, [vector_store_id], queries, options)
    return json_answer(
        {
            "object": "vector_store.search_results.page",
            "search_query": queries,
            "data": [_result(each) for each in found],
            "has_more": False,
            "next_page": None,
        }
    )


def _options(asked: SearchRequest) -> SearchOptions:
    ranking = asked.ranking_options or RankingOptions()
    hybrid = ranking.hybrid_search or HybridSearch()
    return SearchOptions(
        max_results=asked.max_num_results,
        filters=None if asked.filters is None else filters.parse(asked.filters),
        score_threshold=ranking.score_threshold,
        ranker=ranking.ranker,
        weights=(hybrid.embedding_weight, hybrid.text_weight),
        mmr_lambda=ranking.mmr_lambda,
    )


def _result(passage: Passage) -> dict[str, Any]:
    return {
        "file_id": passage.file_id,
        "filename": passage.filename,
        "score": passage.score,
        "attributes": passage.attributes,
        "content": [{"type": "text", "text": passage.text}],
        "chunk_id": passage.chunk_id,
        "page": passage.page,
        "headings": passage.headings,
        "start": passage.start,
        "end": passage.end,
    }


def _about(asked: NewStore | StoreChange) -> dict[str, Any]:
    """What was said of the name, the description and the metadata."""
    given = {name: getattr(asked, name) for name in NOTHING if name in asked.model_fields_set}
    return {name: NOTHING[name] if value is None else value for name, value in given.items()}
