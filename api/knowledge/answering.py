"""A chat that is answered from documents: the question is searched for, and what is found becomes the model's prompt.

When nothing relevant is found no model is asked. It knows no index.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from fastapi import Request, Response

from agent.prompt import Message, Size, fitted, text_of
from api.context import context_of
from api.directory import Entry
from api.inference import answered, begun
from api.knowledge import model_calls, unanswered
from api.knowledge.citing import CitedStream, CitedWhole, Findings
from api.knowledge.searching import RANKER, SearchOptions, search
from api.knowledge.stores import PARAM as STORE_PARAM
from api.openai.chat import ChatRequest
from api.openai.file_search import FileSearchTool
from api.openai.messages import known_message
from api.openai.vector_stores import RankingOptions
from api.policy import caller
from api.principal import Permission
from api.services import services_of
from api.spending import freed
from configs.errors import BadRequest, Forbidden, MantaError

LONGEST_QUERY = 4000
"""Characters; of a longer text its end, where a question mostly stands."""
PLACES = {RANKER: f"tools[0].{RANKER}", STORE_PARAM: "tools[0].vector_store_ids"}
"""Where the fields of a search stand in a chat."""
OF_TOOLS = {"tools", "tool_choice", "parallel_tool_calls"}


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model is asked, and what it rests on."""

    body: bytes
    findings: Findings


async def answer(request: Request, entry: Entry, asked: ChatRequest, tool: FileSearchTool) -> Response:
    """The answer of `entry`'s model to the last message, from the documents that `tool` names.

    Raises:
        Forbidden: the caller may not search.
        NotFound: a store that is not the caller's.
        MantaError: as `api.inference.infer`, and what a search raises.
    """
    if not caller(request).may(Permission.KNOWLEDGE_READ):
        raise Forbidden("This caller may not search documents (knowledge:read).", param="tools")
    spending = await begun(request, entry)
    if spending is not None and spending.answer is not None:
        return spending.answer
    async with freed(spending):
        turn = await _turn(request, entry, asked, tool)
        if not turn.findings.sources:
            response = _nothing_found(request, asked, turn.findings)
            if spending is not None:
                await spending.keep(response)
            return response
    usage_wanted = _usage_wanted(asked)
    amendment = CitedStream(turn.findings, usage_wanted=usage_wanted) if asked.stream else CitedWhole(turn.findings)
    return await answered(request, entry, turn.body, spending, stream=bool(asked.stream), amendment=amendment)


async def _turn(request: Request, entry: Entry, asked: ChatRequest, tool: FileSearchTool) -> Turn:
    given = context_of(request.scope).json
    messages = [known_message(message) for message in given["messages"]]
    queries = queries_of(messages)
    least = services_of(request).cluster.configuration.knowledge.min_score
    try:
        passages = await search(request, tool.vector_store_ids, queries, options_of(tool, least))
    except MantaError as error:
        error.param = PLACES.get(error.param or "", error.param)
        raise
    if not passages:
        return Turn(b"", Findings(queries, passages))

    async def count(counted: list[Message]) -> Size:
        size = await model_calls.answered(request, entry, "/tokenize", {"model": entry.name, "messages": counted})
        return Size(size["count"], size["max_model_len"])

    wanted = asked.max_completion_tokens if asked.max_completion_tokens is not None else asked.max_tokens
    prompt = await fitted(messages, passages, count, wanted)
    body = {name: value for name, value in given.items() if name not in OF_TOOLS}
    return Turn(orjson.dumps({**body, "messages": prompt.messages}), Findings(queries, passages, prompt.sources))


def queries_of(messages: Sequence[Message]) -> list[str]:
    """What is searched for: the last message of the user, alone and behind the one before it.

    Raises:
        BadRequest: it has no text.
    """
    said = [text_of(message).strip() for message in messages if message["role"] == "user"]
    if not said or not said[-1]:
        raise BadRequest("The last message of the user has no text to search for.", param="messages")
    last = said[-1][-LONGEST_QUERY:]
    before = next((text for text in reversed(said[:-1]) if text), None)
    return [last] if before is None else [last, f"{before}\n{last}"[-LONGEST_QUERY:]]


def options_of(tool: FileSearchTool, least: float) -> SearchOptions:
    """How is searched; `least` is the relevance asked for where the request names none.

    It is that of the search: what numbers a reranker gives to what is relevant is its own.
    """
    ranking = tool.ranking_options or RankingOptions()
    named = "score_threshold" in ranking.model_fields_set
    weights = ranking.hybrid_search
    return SearchOptions(
        max_results=tool.max_num_results,
        filters=tool.filter,
        score_threshold=ranking.score_threshold,
        floor=0.0 if named else least,
        ranker=ranking.ranker,
        weights=(1.0, 1.0) if weights is None else (weights.embedding_weight, weights.text_weight),
        mmr_lambda=ranking.mmr_lambda,
    )


def _nothing_found(request: Request, asked: ChatRequest, findings: Findings) -> Response:
    text, context = services_of(request).cluster.configuration.knowledge.no_answer, context_of(request.scope)
    if asked.stream:
        return unanswered.streamed(context, text, findings, usage_wanted=_usage_wanted(asked))
    return unanswered.whole(context, text, findings)


def _usage_wanted(asked: ChatRequest) -> bool:
    return asked.stream_options is not None and asked.stream_options.include_usage
