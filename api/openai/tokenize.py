"""`POST /tokenize`, by vLLM's name: what a text or a chat becomes for a model."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.openai.chat import MAX_MESSAGES, MAX_TOOLS, Message, Tool
from api.validation import Wire


class TokenizeRequest(Wire):
    """A `prompt` or `messages`, not both."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    prompt: str | None = None
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)] | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    add_special_tokens: bool | None = None
    add_generation_prompt: bool | None = None
    return_token_strs: bool | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            msg = "either 'prompt' or 'messages'"
            raise ValueError(msg)
        return self
