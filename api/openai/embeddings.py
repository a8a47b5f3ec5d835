"""`POST /v1/embeddings`; the replica checks what depends on the model (window, vocabulary, dimensions)."""

from typing import Annotated, Literal

from pydantic import Field

from api.openai.sampling import TokenId
from api.validation import Wire

MAX_INPUTS = 2048
MAX_CHARACTERS = 2**20

Text = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
Tokens = Annotated[list[TokenId], Field(min_length=1, max_length=MAX_CHARACTERS)]


class EmbeddingsRequest(Wire):
    """OpenAI's fields, vLLM's `truncate_prompt_tokens` (-1: to the window), `input_type` for models with prefixes."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    input: Text | Tokens | Annotated[list[Text] | list[Tokens], Field(min_length=1, max_length=MAX_INPUTS)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=65536)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    truncate_prompt_tokens: Annotated[int, Field(ge=-1, le=2**20)] | None = None
    input_type: Literal["query", "document"] | None = None
