"""The `file_search` tool of a chat: OpenAI's object of the Responses API, which we take in chat completions too."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.openai.vector_stores import MAX_RESULTS, RankingOptions
from api.validation import Wire
from configs.errors import BadRequest
from retrieval import filters
from retrieval.filters import Filter

MAX_STORES = 16

StoreId = Annotated[str, Field(min_length=1, max_length=128)]


class FileSearchTool(Wire):
    """Answer from these stores."""

    type: Literal["file_search"]
    vector_store_ids: Annotated[list[StoreId], Field(min_length=1, max_length=MAX_STORES)]
    max_num_results: Annotated[int, Field(ge=1, le=MAX_RESULTS)] = 10
    filters: dict[str, Any] | None = None
    ranking_options: RankingOptions | None = None

    @property
    def filter(self) -> Filter | None:
        """What the files' attributes must be.

        Raises:
            BadRequest: `filters` is none.
        """
        if self.filters is None:
            return None
        try:
            return filters.parse(self.filters)
        except BadRequest as error:
            raise BadRequest(error.message, param="tools[0].filters") from error
