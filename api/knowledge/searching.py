"""Searching vector stores for a caller: what is asked is embedded, found, read under the caller's rights, and ordered.

Whoever finds knows no rights: a hit counts only where the caller can read its chunk at this moment, so that what was
deleted is gone at once.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from fastapi import Request

from api.db import passages as queries
from api.db.vector_stores import Searched
from api.directory import Entry
from api.knowledge import model_calls, rewriting
from api.knowledge.store_files import readable_attributes
from api.policy import caller
from api.scope import Scope
from api.services import Services, services_of
from configs.errors import BadRequest, MantaError, Unreadable
from configs.specs import Kind
from retrieval import feed
from retrieval.collection import Hit, Query
from retrieval.filters import Filter
from retrieval.index.protocol import Vectors
from retrieval.terms import terms

log = logging.getLogger(__name__)

AUTO, NONE = "auto", "none"
AUTOMATIC = {AUTO, "default-2024-11-15"}
"""OpenAI's names for a reranker of the house."""
RERANKED, LEAST_RERANKED = 3, 30
"""How many times the results that are asked for a reranker sees, and no fewer than that."""
RANKER = "ranking_options.ranker"


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search. `weights` are those of vectors and words; see `retrieval.collection.Query` for the rest.

    `floor` leaves out what is less relevant before a reranker sees it, `score_threshold` what is at the end.
    `ranker`: "none" leaves the order of the fusion, "auto" takes the first reranker there is, a name that model.
    """

    max_results: int = 10
    filters: Filter | None = None
    score_threshold: float = 0.0
    floor: float = 0.0
    ranker: str = AUTO
    weights: tuple[float, float] = (1.0, 1.0)
    mmr_lambda: float | None = None
    rewrite: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found. `score` is from 0 to 1; `start` and `end` are offsets in the text of its file.

    `page` is the one that it begins on, `pages` are those that begin in it, each with where in the text of its file.
    `table_head` is the first row of the table that it begins in the middle of.
    """

    vector_store_id: str
    file_id: str
    filename: str
    chunk_id: int
    text: str
    score: float
    page: int | None
    headings: tuple[str, ...]
    start: int
    end: int
    pages: tuple[tuple[int, int | None], ...] = ()
    table_head: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


async def search(
    request: Request, store_ids: Sequence[str], queries: Sequence[str], options: SearchOptions
) -> list[Passage]:
    """What answers the queries in these stores, the best first.

    Raises:
        NotFound: a store is not there for this caller.
        BadRequest: a store's time is over, or there is no such ranker.
        Forbidden: the caller may not call a model that this needs.
        Unavailable: a model or search is not running.
    """
    services, scope = services_of(request), caller(request).scope
    ranker = _ranker(request, options.ranker)
    stores = await _stores(services, scope, list(dict.fromkeys(store_ids)))
    if options.rewrite:
        queries = await rewriting.rewritten(request, queries)
    wanted = options.max_results
    if ranker is not None and options.mmr_lambda is None:
        wanted = max(RERANKED * wanted, LEAST_RERANKED)
    least = options.floor if ranker else max(options.floor, options.score_threshold)
    asked = replace(options, max_results=wanted, score_threshold=least)
    vectors = await _vectors(request, stores, queries) if options.weights[0] > 0 else {}
    lists = await asyncio.gather(
        *(services.finder.find(each.id, each.seq, _queries(queries, vectors.get(each.id), asked)) for each in stores)
    )
    hits = _merged({store.id: found for store, found in zip(stores, lists, strict=True)})
    passages = await _read(services, scope, stores, hits[:wanted])
    if ranker is not None and passages:
        passages = await _reranked(request, ranker, queries, passages, by_name=options.ranker not in AUTOMATIC)
    return [each for each in passages if each.score >= options.score_threshold][: options.max_results]


async def _stores(services: Services, scope: Scope, store_ids: Sequence[str]) -> list[Searched]:
    async with services.database.unit(scope, by_key=True) as unit:
        return await services.stores.used(unit, store_ids)


def _ranker(request: Request, name: str) -> Entry | None:
    directory = services_of(request).directory
    if name == NONE:
        return None
    if name in AUTOMATIC:
        entry = model_calls.first_of(directory, Kind.RERANK)
        return entry if entry is not None and caller(request).may_call(entry.name) else None
    try:
        return directory.of_kind(name, Kind.RERANK)
    except MantaError as error:
        raise BadRequest(f"{error.message} 'auto' and 'none' are rankers too.", param=RANKER) from None


async def _vectors(request: Request, stores: Sequence[Searched], queries: Sequence[str]) -> dict[str, Vectors]:
    """The queries' vectors by store; each model is asked once."""
    services = services_of(request)
    names = {each.embedding_model for each in stores}
    entries = {name: model_calls.embedder_of(services.directory, name) for name in names}
    known = services.stores.probes.check(stores, entries, partial(model_calls.probe, request))
    asked = asyncio.gather(*(model_calls.embed(request, entry, queries, "query") for entry in entries.values()))
    found, _ = await asyncio.gather(asked, known)
    by_model = dict(zip(entries, found, strict=True))
    return {each.id: by_model[each.embedding_model] for each in stores}


def _queries(texts: Sequence[str], vectors: Vectors | None, options: SearchOptions) -> list[Query]:
    return [
        Query(
            vector=None if vectors is None else vectors[number],
            terms=terms(text) if options.weights[1] > 0 else (),
            filter=options.filters,
            k=options.max_results,
            weights=options.weights,
            threshold=options.score_threshold,
            mmr_lambda=options.mmr_lambda,
        )
        for number, text in enumerate(texts)
    ]


def _merged(found: Mapping[str, Sequence[Sequence[Hit]]]) -> list[tuple[str, Hit]]:
    """One list of all. In a store the best of each query come first; between stores ranks say nothing: scores count."""
    merged = [(store_id, hit) for store_id, lists in found.items() for hit in _woven(lists)]
    return merged if len(found) == 1 else sorted(merged, key=lambda pair: -pair[1].score)


def _woven(lists: Sequence[Sequence[Hit]]) -> list[Hit]:
    found: dict[int, tuple[int, float, Hit]] = {}
    for rank, hit in ((rank, hit) for hits in lists for rank, hit in enumerate(hits)):
        known = found.get(hit.chunk_id)
        best = hit if known is None or hit.score > known[2].score else known[2]
        found[hit.chunk_id] = (rank if known is None else min(rank, known[0]), -best.score, best)
    return [hit for _, _, hit in sorted(found.values(), key=lambda each: each[:2])]


async def _read(
    services: Services, scope: Scope, stores: Sequence[Searched], hits: Sequence[tuple[str, Hit]]
) -> list[Passage]:
    """The chunks of hits that are there for the caller, in their order."""
    found: dict[tuple[str, int], Passage] = {}
    async with services.database.unit(scope, by_key=True) as unit:
        for store in stores:
            scores = {hit.chunk_id: hit.score for store_id, hit in hits if store_id == store.id}
            if not scores:
                continue
            key = await services.stores.key(unit, store)
            opener = feed.StoreKey(store.id, store.organization_id, store.dimensions, key.key)
            files: dict[str, tuple[str, dict[str, Any]]] = {}
            for row in await queries.found(unit, store.id, list(scores)):
                chunk, content = row.chunk, _content(opener, row.chunk)
                if row.file_id not in files:
                    name = await services.library.name(unit, row.name)
                    files[row.file_id] = name, readable_attributes(key, row) or {}
                if content is not None:
                    told = files[row.file_id]
                    found[store.id, chunk.id] = _passage(store.store_id, chunk, content, scores[chunk.id], told)
    return [found[store_id, hit.chunk_id] for store_id, hit in hits if (store_id, hit.chunk_id) in found]


def _content(opener: feed.StoreKey, chunk: feed.SealedChunk) -> dict[str, Any] | None:
    try:
        return feed.content(opener, chunk)
    except Unreadable as error:
        log.warning("chunk %d of %s is left out: %s", chunk.id, opener.store_id, error.message)
        return None


def _passage(
    store_id: str, chunk: feed.SealedChunk, content: Mapping[str, Any], score: float, told: tuple[str, dict[str, Any]]
) -> Passage:
    return Passage(
        vector_store_id=store_id,
        file_id=chunk.file_id,
        filename=told[0],
        chunk_id=chunk.id,
        text=content["text"],
        score=score,
        page=content["page"],
        headings=tuple(content["headings"]),
        start=content["start"],
        end=content["end"],
        pages=tuple((at, page) for at, page in content.get("pages", ())),
        table_head=content["table_head"],
        attributes=told[1],
    )


async def _reranked(
    request: Request, ranker: Entry, queries: Sequence[str], passages: Sequence[Passage], *, by_name: bool
) -> list[Passage]:
    """By how well each passage answers one of the queries. Where nobody asked for this model, its failing is no end."""
    texts = [
        feed.searched_text({"headings": each.headings, "table_head": each.table_head, "text": each.text})
        for each in passages
    ]
    calls = (model_calls.rerank(request, ranker, query, texts) for query in queries)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    failures = [each for each in answers if isinstance(each, BaseException)]
    lists = [each for each in answers if not isinstance(each, BaseException)]
    for error in failures:
        if not isinstance(error, MantaError) or (by_name and not lists):
            raise error
        log.warning("a query is not reranked by %s: %s", ranker.name, error.message)
    if not lists:
        return list(passages)
    best = [max(scores) for scores in zip(*lists, strict=True)]
    return sorted(
        (replace(each, score=score) for each, score in zip(passages, best, strict=True)), key=lambda each: -each.score
    )
