"""`POST /v1/completions`, OpenAI's older text form; evaluation suites need it for log-probabilities."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from api.openai.sampling import MAX_TOKENS, Sampling, TokenId
from configs.errors import BadRequest

MAX_PROMPTS = 256

Tokens = Annotated[list[TokenId], Field(min_length=1, max_length=2**20)]
Prompt = Annotated[str, Field(min_length=1)]


class CompletionRequest(Sampling):
    """A text completion; of `best_of` and `suffix` only what changes nothing is served."""

    prompt: Prompt | Tokens | Annotated[list[Prompt] | list[Tokens], Field(min_length=1, max_length=MAX_PROMPTS)]
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    max_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS)] | None = None
    best_of: Literal[1] | None = None
    suffix: None = None

    @model_validator(mode="after")
    def _nothing_only_with_echo(self) -> Self:
        if self.max_tokens == 0 and not self.echo:
            raise BadRequest("'max_tokens' must be at least 1, or 0 with 'echo': true.", param="max_tokens")
        return self
