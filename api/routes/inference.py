"""OpenAI's model calls."""

from fastapi import Request, Response

from api.context import context_of
from api.documents import takes
from api.inference import infer
from api.knowledge import answering
from api.openai.chat import ChatRequest
from api.openai.completions import CompletionRequest
from api.openai.embeddings import EmbeddingsRequest
from api.openai.messages import with_known_messages
from api.openai.rerank import RerankRequest
from api.openai.tokenize import TokenizeRequest
from api.policy import guarded_router, requires
from api.principal import Permission
from api.services import services_of
from api.validation import read
from configs.specs import Kind

router = guarded_router()


@router.post("/v1/chat/completions", openapi_extra=takes(ChatRequest), tags=["OpenAI"])
@requires(Permission.INFERENCE)
async def chat_completions(request: Request) -> Response:
    """Answer a chat, whole or as server-sent events; with a `file_search` tool from the caller's documents."""
    context = context_of(request.scope)
    asked = read(ChatRequest, context)
    entry = services_of(request).directory.of_kind(asked.model, Kind.CHAT)
    if asked.tools and (searched := asked.file_search) is not None:
        return await answering.answer(request, entry, asked, searched)
    return await infer(request, entry, with_known_messages(context.body, context.json), stream=bool(asked.stream))


@router.post("/v1/completions", openapi_extra=takes(CompletionRequest), tags=["OpenAI"])
@requires(Permission.INFERENCE)
async def completions(request: Request) -> Response:
    """Continue a text, whole or as server-sent events."""
    context = context_of(request.scope)
    asked = read(CompletionRequest, context)
    entry = services_of(request).directory.of_kind(asked.model, Kind.CHAT)
    return await infer(request, entry, context.body, stream=bool(asked.stream))


@router.post("/v1/embeddings", openapi_extra=takes(EmbeddingsRequest), tags=["OpenAI"])
@requires(Permission.INFERENCE)
async def embeddings(request: Request) -> Response:
    """Turn texts into vectors."""
    context = context_of(request.scope)
    asked = read(EmbeddingsRequest, context)
    entry = services_of(request).directory.of_kind(asked.model, Kind.EMBEDDING)
    return await infer(request, entry, context.body, stream=False)


@router.post("/v1/rerank", openapi_extra=takes(RerankRequest), tags=["OpenAI"])
@requires(Permission.INFERENCE)
async def rerank(request: Request) -> Response:
    """Order documents by how well they answer a query."""
    context = context_of(request.scope)
    asked = read(RerankRequest, context)
    entry = services_of(request).directory.of_kind(asked.model, Kind.RERANK)
    return await infer(request, entry, context.body, stream=False)


@router.post("/tokenize", openapi_extra=takes(TokenizeRequest), tags=["vLLM"])
@requires(Permission.INFERENCE)
async def tokenize(request: Request) -> Response:
    """Tell the tokens of a text or a chat."""
    context = context_of(request.scope)
    asked = read(TokenizeRequest, context)
    entry = services_of(request).directory.of_kind(asked.model, Kind.CHAT)
    return await infer(request, entry, with_known_messages(context.body, context.json), stream=False)
