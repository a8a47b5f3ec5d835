"""The bodies of `/v1/vector_stores` and what lies below it, as OpenAI has them. Our own fields are marked."""

import sys
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from api.validation import Wire, Wrong
from configs.errors import BadRequest
from retrieval.chunking import DEFAULT_OVERLAP, DEFAULT_TOKENS, MAX_TOKENS, MIN_TOKENS, check_sizes

MAX_FILES = 500
MAX_BATCH = 2000
MAX_PAIRS = 16
MAX_KEY = 64
MAX_TEXT = 512
MAX_QUERY = 2**15
MAX_QUERIES = 16
MAX_RESULTS = 50


def _attributes(given: dict[str, Any]) -> dict[str, str | float | bool]:
    if len(given) > MAX_PAIRS:
        raise Wrong(f"There are at most {MAX_PAIRS} attributes.")
    for key, value in given.items():
        if not 1 <= len(key) <= MAX_KEY:
            raise Wrong(f"An attribute's name has 1 to {MAX_KEY} characters.")
        if not _good(value):
            text = f"An attribute is a text of at most {MAX_TEXT} characters, a finite number, true or false."
            raise Wrong(text)
    return given


def _good(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return isinstance(value, (bool, int, float)) and abs(value) <= sys.float_info.max


def _as_list(given: object) -> object:
    if isinstance(given, list):
        return given
    if isinstance(given, str) and 1 <= len(given) <= MAX_QUERY:
        return [given]
    raise Wrong(f"A query is a text of 1 to {MAX_QUERY} characters, or a list of such.")


ATTRIBUTE_SCHEMA = {"anyOf": [{"type": "string", "maxLength": MAX_TEXT}, {"type": "number"}, {"type": "boolean"}]}
Attributes = Annotated[
    dict[str, Any],
    AfterValidator(_attributes),
    WithJsonSchema({"type": "object", "maxProperties": MAX_PAIRS, "additionalProperties": ATTRIBUTE_SCHEMA}),
]
Metadata = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=MAX_KEY)], Annotated[str, Field(max_length=MAX_TEXT)]],
    Field(max_length=MAX_PAIRS),
]
Name = Annotated[str, Field(max_length=256)]
Description = Annotated[str, Field(max_length=1024)]
FileId = Annotated[str, Field(min_length=1, max_length=128)]
QueryText = Annotated[str, Field(min_length=1, max_length=MAX_QUERY)]
QUERY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_QUERY}
Queries = Annotated[
    list[QueryText],
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=MAX_QUERIES),
    WithJsonSchema(
        {"anyOf": [QUERY_SCHEMA, {"type": "array", "items": QUERY_SCHEMA, "minItems": 1, "maxItems": MAX_QUERIES}]}
    ),
]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e6)]


ModelName = Annotated[str, Field(min_length=1, max_length=256)]


class ExpiresAfter(Wire):
    """How long a store is kept after it was last used."""

    anchor: Literal["last_active_at"]
    days: Annotated[int, Field(ge=1, le=365)]


class StaticSizes(Wire):
    """How long chunks are, and how much of one stands in the next."""

    max_chunk_size_tokens: Annotated[int, Field(ge=MIN_TOKENS, le=MAX_TOKENS)]
    chunk_overlap_tokens: Annotated[int, Field(ge=0, le=MAX_TOKENS // 2)]


class ChunkingStrategy(Wire):
    """How files are cut; `auto` is 800 tokens with 400 of overlap."""

    type: Literal["auto", "static"]
    static: StaticSizes | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.static is None) == (self.type == "static"):
            text = '\'static\' comes with `"type": "static"`, and only with it.'
            raise Wrong(text, "static")
        try:
            check_sizes(*self.sizes)
        except BadRequest as error:
            raise Wrong(error.message, f"static.{error.param}") from error
        return self

    @property
    def sizes(self) -> tuple[int, int]:
        """Tokens of a chunk, and of the overlap."""
        if self.static is None:
            return DEFAULT_TOKENS, DEFAULT_OVERLAP
        return self.static.max_chunk_size_tokens, self.static.chunk_overlap_tokens


AUTO = ChunkingStrategy(type="auto")


class NewStore(Wire):
    """A new store. `embedding_model` is Manta's: the name of a served model; by default the first."""

    name: Name | None = None
    description: Description | None = None
    metadata: Metadata | None = None
    expires_after: ExpiresAfter | None = None
    file_ids: Annotated[list[FileId], Field(max_length=MAX_FILES)] | None = None
    chunking_strategy: ChunkingStrategy | None = None
    embedding_model: ModelName | None = None


class StoreChange(Wire):
    """What of a store becomes another; what is not named stays. `embedding_model` is Manta's."""

    name: Name | None = None
    description: Description | None = None
    metadata: Metadata | None = None
    expires_after: ExpiresAfter | None = None
    embedding_model: ModelName | None = None


class NewStoreFile(Wire):
    """A file for a store."""

    file_id: FileId
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class StoreFileChange(Wire):
    """A file's attributes, in place of those it has."""

    attributes: Attributes | None


class NewBatch(Wire):
    """Files for a store: `file_ids` with what holds for all of them, or `files` that each bring their own."""

    file_ids: Annotated[list[FileId], Field(min_length=1, max_length=MAX_BATCH)] | None = None
    files: Annotated[list[NewStoreFile], Field(min_length=1, max_length=MAX_BATCH)] | None = None
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if (self.file_ids is None) == (self.files is None):
            raise Wrong("Give either 'file_ids' or 'files'.", "file_ids")
        return self

    @property
    def all_files(self) -> list[NewStoreFile]:
        """Each with what is said of it."""
        if self.files is not None:
            return self.files
        attributes, chunking = self.attributes, self.chunking_strategy
        return [
            NewStoreFile.model_construct(file_id=file_id, attributes=attributes, chunking_strategy=chunking)
            for file_id in self.file_ids or ()
        ]


class HybridSearch(Wire):
    """How much vectors count, and how much words."""

    embedding_weight: Weight = 1.0
    text_weight: Weight = 1.0

    @model_validator(mode="after")
    def _weighs(self) -> Self:
        if not self.embedding_weight and not self.text_weight:
            raise Wrong("One of the weights is above 0.")
        return self


class RankingOptions(Wire):
    """How results are ordered. `hybrid_search`, `mmr_lambda` and names of models as `ranker` are Manta's."""

    ranker: Annotated[str, Field(min_length=1, max_length=256)] = "auto"
    score_threshold: Share = 0.0
    hybrid_search: HybridSearch | None = None
    mmr_lambda: Share | None = None


class SearchRequest(Wire):
    """What is looked for in a store."""

    query: Queries
    filters: dict[str, Any] | None = None
    max_num_results: Annotated[int, Field(ge=1, le=MAX_RESULTS)] = 10
    ranking_options: RankingOptions | None = None
    rewrite_query: bool = False
