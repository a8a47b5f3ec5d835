"""Questions made into queries by a chat model: one short call each. Where that fails the question itself is asked."""

import asyncio
import logging
from collections.abc import Sequence

from fastapi import Request

from api.directory import Entry
from api.knowledge import model_calls
from api.services import services_of
from configs.errors import MantaError
from configs.specs import Kind

log = logging.getLogger(__name__)

CHAT = "/v1/chat/completions"
REWRITE_S = 8.0
MAX_TOKENS = 64
MAX_CHARACTERS = 400
PROMPT = (
    "Write the search query that finds documents which answer the question. Keep its language, names and numbers, leave"
    " out greetings and fillers. Answer with the query alone, on one line."
)


async def rewritten(request: Request, queries: Sequence[str]) -> list[str]:
    """Each query as the first chat model would ask it; as it is where there is none or it gives nothing of use."""
    entry = model_calls.first_of(services_of(request).directory, Kind.CHAT)
    if entry is None:
        log.info("queries are not rewritten: no chat model is served")
        return list(queries)
    return list(await asyncio.gather(*(_rewritten(request, entry, query) for query in queries)))


async def _rewritten(request: Request, entry: Entry, query: str) -> str:
    messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": query}]
    body = {"model": entry.name, "messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0}
    try:
        answer = await model_calls.answered(request, entry, CHAT, body, REWRITE_S)
    except MantaError as error:
        log.info("a query is not rewritten by %s: %s", entry.name, error.message)
        return query
    lines = (answer["choices"][0]["message"].get("content") or "").strip().splitlines()
    said = lines[0].strip().strip("\"'").strip() if lines else ""
    if not said or len(said) > MAX_CHARACTERS:
        log.info("a query is not rewritten: %s gave nothing of use", entry.name)
        return query
    return said
