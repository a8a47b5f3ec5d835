"""`POST /v1/chat/completions`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from api.openai.file_search import FileSearchTool
from api.openai.sampling import MAX_TOKENS, JsonObject, Sampling
from api.validation import Wire
from configs.errors import BadRequest, UnsupportedParameter

MAX_MESSAGES = 4096
MAX_TOOLS = 128
MAX_PARTS = 1024
MAX_ANNOTATIONS = 1024

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Text = Annotated[str, Field()]


class TextPart(Wire):
    """A piece of text."""

    type: Literal["text"]
    text: Text


class ImageUrl(Wire):
    """An image inside the request. The server fetches nothing, so only data URLs can be honoured."""

    url: Annotated[str, Field(pattern=r"^data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/=]+$")]
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Wire):
    """An image, for models that see."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]
TextParts = Annotated[list[TextPart], Field(min_length=1, max_length=MAX_PARTS)]
Parts = Annotated[list[Part], Field(min_length=1, max_length=MAX_PARTS)]


def _form(value: Any) -> str:  # noqa: ANN401  any JSON
    return "text" if isinstance(value, str) else "parts"


TextContent = Annotated[Annotated[str, Tag("text")] | Annotated[TextParts, Tag("parts")], Discriminator(_form)]
Content = Annotated[Annotated[str, Tag("text")] | Annotated[Parts, Tag("parts")], Discriminator(_form)]


class FunctionCall(Wire):
    """Which function, with which arguments (a JSON text)."""

    name: Name
    arguments: str


class ToolCall(Wire):
    """A call that the model asked for earlier."""

    id: Annotated[str, Field(min_length=1, max_length=256)]
    type: Literal["function"]
    function: FunctionCall


class InstructionMessage(Wire):
    """What the application tells the model."""

    role: Literal["system", "developer"]
    content: TextContent
    name: Name | None = None


class UserMessage(Wire):
    """What a person says."""

    role: Literal["user"]
    content: Content
    name: Name | None = None


class AssistantMessage(Wire):
    """What the model said before, as answers have it: what a model is not told again is taken and dropped."""

    role: Literal["assistant"]
    content: TextContent | None = None
    name: Name | None = None
    refusal: str | None = None
    reasoning: str | None = None
    annotations: Annotated[list[JsonObject], Field(max_length=MAX_ANNOTATIONS)] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=MAX_TOOLS)] | None = None


class ToolMessage(Wire):
    """What a tool answered."""

    role: Literal["tool"]
    content: TextContent
    tool_call_id: Annotated[str, Field(min_length=1, max_length=256)]


Message = Annotated[InstructionMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class Function(Wire):
    """A function that the model may call; `parameters` is a JSON Schema."""

    name: Name
    description: Annotated[str, Field(max_length=4096)] | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(Wire):
    """A function as a tool."""

    type: Literal["function"]
    function: Function


def _tool_form(value: Any) -> str:  # noqa: ANN401  any JSON
    return FILE_SEARCH if isinstance(value, dict) and value.get("type") == "file_search" else FUNCTION


FUNCTION, FILE_SEARCH = "Function", "FileSearch"
ChatTool = Annotated[
    Annotated[Tool, Tag(FUNCTION)] | Annotated[FileSearchTool, Tag(FILE_SEARCH)], Discriminator(_tool_form)
]


class NamedFunction(Wire):
    """The function that must be called."""

    name: Name


class NamedTool(Wire):
    """`tool_choice` naming one function."""

    type: Literal["function"]
    function: NamedFunction


class HostedTool(Wire):
    """`tool_choice` naming the search in documents, as OpenAI's Responses API has it."""

    type: Literal["file_search"]


class JsonSchema(Wire):
    """The schema an answer must follow."""

    name: Name
    description: str | None = None
    schema_: Annotated[JsonObject, Field(alias="schema")]
    strict: bool | None = None


class ResponseFormat(Wire):
    """Free text, any JSON object, or JSON of one schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_given(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            msg = "'json_schema' exactly when 'type' is 'json_schema'"
            raise ValueError(msg)
        return self


def _choice_form(value: Any) -> str:  # noqa: ANN401  any JSON
    if not isinstance(value, dict):
        return "word"
    return "hosted" if value.get("type") == "file_search" else "named"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[NamedTool, Tag("named")]
    | Annotated[HostedTool, Tag("hosted")],
    Discriminator(_choice_form),
]

NOT_HERE = {
    "audio": "audio answers are not served",
    "functions": "it was replaced by 'tools'",
    "function_call": "it was replaced by 'tool_choice'",
    "metadata": "answers are not stored, so there is nothing to attach it to",
    "moderation": "moderation is not served",
    "prediction": "predicted outputs are not served",
    "prompt_cache_options": "the prefix cache is always on",
    "prompt_cache_retention": "the prefix cache is always on",
    "web_search_options": "web search is not served",
}
"""Fields of OpenAI's contract that cannot be honoured, with the reason that the client is told."""


class ChatRequest(Sampling):
    """A chat completion; fields in OpenAI's order come from `Sampling` and here."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    tools: Annotated[list[ChatTool], Field(min_length=1, max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbosity: Literal["medium"] | None = None
    modalities: list[Literal["text"]] | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_cannot_be_honoured(cls, data: Any) -> Any:  # noqa: ANN401  any JSON
        if isinstance(data, dict):
            for name, reason in NOT_HERE.items():
                if data.get(name) is not None:
                    raise UnsupportedParameter(f"The parameter {name!r} is not supported: {reason}.", param=name)
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            msg = "'top_logprobs' only with 'logprobs': true"
            raise ValueError(msg)
        if self.tool_choice not in (None, "none") and not self.tools:
            msg = "'tool_choice' only with 'tools'"
            raise ValueError(msg)
        if self.tools and self.file_search is not None:
            self._check_search()
        elif isinstance(self.tool_choice, HostedTool):
            raise BadRequest("'tool_choice' names 'file_search', which is not among 'tools'.", param="tool_choice")
        return self

    @property
    def file_search(self) -> FileSearchTool | None:
        """The search in documents, if it is asked for."""
        return next((tool for tool in self.tools or () if isinstance(tool, FileSearchTool)), None)

    def _check_search(self) -> None:
        if len(self.tools or ()) > 1:
            raise BadRequest("A 'file_search' tool stands alone: send no other tool beside it.", param="tools")
        if self.tool_choice not in (None, "auto", "required") and not isinstance(self.tool_choice, HostedTool):
            text = "With a 'file_search' tool documents are always searched: leave 'tool_choice' out."
            raise BadRequest(text, param="tool_choice")
        if (self.n or 1) > 1:
            raise BadRequest("An answer from documents is one: leave 'n' out or set it to 1.", param="n")
