"""What searching asks of models: vectors of texts, and how well texts answer a query. Calls go the way of all others.

Their tokens are the caller's, on the route that the caller asked.
"""

import asyncio
from base64 import b64decode
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
from fastapi import Request

from api.context import context_of
from api.directory import Directory, Entry
from api.ids import new_id
from api.inference import Asked
from api.policy import caller
from api.services import services_of
from configs.errors import BadRequest, Forbidden, Internal, MantaError, ModelNotFound, ModelStarting, Unavailable
from configs.specs import Kind
from models.embedding.probe import SENTENCE
from models.wire import Call
from retrieval.index.protocol import Vectors
from serving.exchange import Collector

Scores = npt.NDArray[np.float64]

CALL_S = 60.0
"""A search does not wait for a model as long as a call of it would: half an hour while one starts."""
EMBED, RERANK = "/v1/embeddings", "/v1/rerank"


async def embed(request: Request, entry: Entry, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
    """A vector for each text [n, d]; what is longer than the model's window is cut.

    Raises:
        Forbidden: the caller may not call this model.
        Unavailable: it does not answer in time.
    """
    body = {
        "model": entry.name,
        "input": list(texts),
        "encoding_format": "base64",
        "input_type": kind,
        "truncate_prompt_tokens": -1,
    }
    answer = await answered(request, entry, EMBED, body)
    rows = [np.frombuffer(b64decode(row["embedding"]), "<f4") for row in answer["data"]]
    if len(rows) != len(texts):
        raise Internal("The embedding model gave another number of vectors than there were texts.")
    return np.stack(rows).astype(np.float32)


async def probe(request: Request, entry: Entry) -> Vectors:
    """What the model makes of one sentence [d], by which it is known again. Errors as `embed`."""
    found: Vectors = (await embed(request, entry, [SENTENCE], "document"))[0]
    return found


async def rerank(request: Request, entry: Entry, query: str, documents: Sequence[str]) -> list[float]:
    """How well each document answers the query, from 0 to 1. Errors as `embed`.

    Raises:
        ContextTooLong: the query is longer than half of the model's window.
    """
    body = {"model": entry.name, "query": query, "documents": list(documents), "return_documents": False}
    answer = await answered(request, entry, RERANK, body)
    scores = np.zeros(len(documents))
    for result in answer["results"]:
        scores[result["index"]] = result["relevance_score"]
    return [float(share) for share in as_shares(scores)]


async def answered(request: Request, entry: Entry, path: str, body: dict[str, Any], timeout_s: float = CALL_S) -> Any:  # noqa: ANN401  any JSON
    """The whole answer of a model, as JSON. Errors as `embed`."""
    principal = caller(request)
    if not principal.may_call(entry.name):
        raise Forbidden(f"This key may not call the model {entry.name!r}, which this needs.", param="model")
    call = Call(path, orjson.dumps(body), new_id("call"), principal.organization_id)
    collector = Collector()
    asked = Asked(services_of(request), context_of(request.scope), entry, call, stream=False)
    try:
        async with asyncio.timeout(timeout_s):
            answer = await asked.send(collector)
    except TimeoutError:
        text = f"The model {entry.name!r}, which this needs, did not answer within {timeout_s:g} seconds."
        raise ModelStarting(text, retry_after_s=5.0) from None
    if answer is None:
        raise Unavailable(f"The call of the model {entry.name!r} was broken off.")
    if answer.error is not None:
        raise answer.error
    return orjson.loads(b"".join(collector.parts))


def as_shares(scores: Scores) -> Scores:
    """Scores from 0 to 1: as they are where all are already, else each logit's sigmoid."""
    if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
        return scores
    shares: Scores = 1 / (1 + np.exp(-np.clip(scores, -60, 60)))
    return shares


def embedder(directory: Directory, name: str | None) -> Entry:
    """The model that a new store is to be embedded with; without a name the one that has been there longest.

    Raises:
        BadRequest: there is no such model, or it embeds nothing.
        Unavailable: there is no embedding model at all.
    """
    if name is None:
        first = first_of(directory, Kind.EMBEDDING)
        if first is None:
            raise Unavailable("No embedding model is served here: `manta models add` one.")
        return first
    try:
        return directory.of_kind(name, Kind.EMBEDDING)
    except (ModelNotFound, BadRequest) as error:
        raise BadRequest(error.message, param="embedding_model") from None


def embedder_of(directory: Directory, name: str) -> Entry:
    """The model that a store was embedded with.

    Raises:
        Unavailable: it is not served any more.
    """
    try:
        return directory.of_kind(name, Kind.EMBEDDING)
    except MantaError:
        text = f"The model {name!r}, which this vector store was made with, is not served: `manta models add` it."
        raise Unavailable(text) from None


def first_of(directory: Directory, kind: Kind) -> Entry | None:
    """The model of a kind that has been there longest; of several the first by name."""
    found = [entry for entry in directory.entries() if entry.spec.kind is kind]
    return min(found, key=lambda entry: entry.created, default=None)
