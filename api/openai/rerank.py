"""`POST /v1/rerank`, as Jina, Cohere and vLLM have it; the replica checks what depends on the model (window)."""

from typing import Annotated

from pydantic import Field

from api.openai.embeddings import MAX_INPUTS, Text
from api.validation import Wire


class TextDocument(Wire):
    """A document with its text by name."""

    text: Text


class RerankRequest(Wire):
    """Which of the documents answer the query. `return_documents`: their texts stand in the answer (default true)."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    query: Text
    documents: Annotated[list[Text | TextDocument], Field(min_length=1, max_length=MAX_INPUTS)]
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = True
    user: Annotated[str, Field(max_length=512)] | None = None
