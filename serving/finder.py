"""Search as the ingress has it: questions to the search application, over Serve."""

from collections.abc import Sequence

from retrieval.collection import Hit, Query
from serving.calls import call
from serving.names import SEARCH_APP, SEARCH_DEPLOYMENT

TIMEOUT_S = 30.0


class SearchFinder:
    """See `retrieval.finding.Finder`."""

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        """See `Finder`."""
        found: list[list[Hit]] = await call(
            SEARCH_APP, SEARCH_DEPLOYMENT, "find", store_id, min_seq, list(queries), timeout_s=TIMEOUT_S
        )
        return found
