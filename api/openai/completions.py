"""`POST /v1/completions`, OpenAI's older text form; evaluation suites need it for log-probabilities."""

from typing import Annotated

from pydantic import Field

from api.openai.sampling import Sampling, TokenId

MAX_PROMPTS = 256

Tokens = Annotated[list[TokenId], Field(min_length=1, max_length=2**20)]
Prompt = Annotated[str, Field(min_length=1)]


class CompletionRequest(Sampling):
    """A text completion; `best_of` and `suffix` are not served."""

    prompt: Prompt | Tokens | Annotated[list[Prompt] | list[Tokens], Field(min_length=1, max_length=MAX_PROMPTS)]
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
