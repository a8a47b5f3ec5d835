"""`POST /v1/rerank`, as Jina, Cohere and vLLM have it; the replica checks what depends on the model (window)."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from api.openai.embeddings import MAX_INPUTS, Text
from api.validation import Wire


class TextDocument(Wire):
    """A document with its text by name."""

    text: Text


def _form(value: Any) -> str:  # noqa: ANN401  any JSON
    return "Object" if isinstance(value, dict) else "Text"


Document = Annotated[Annotated[Text, Tag("Text")] | Annotated[TextDocument, Tag("Object")], Discriminator(_form)]


class RerankRequest(Wire):
    """Which of the documents answer the query. `return_documents`: their texts stand in the answer (default true)."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    query: Text
    documents: Annotated[list[Document], Field(min_length=1, max_length=MAX_INPUTS)]
    top_n: Annotated[int, Field(ge=1)] | None = None
    return_documents: bool = True
    user: Annotated[str, Field(max_length=512)] | None = None
