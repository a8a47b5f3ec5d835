"""What is asked of search. It does not know who answers."""

from collections.abc import Sequence
from typing import Protocol

from retrieval.collection import Hit, Query


class Finder(Protocol):
    """Searches stores by their ids. It knows no user: whoever asks shows only what the caller may see."""

    async def find(self, store_id: str, min_seq: int, queries: Sequence[Query]) -> list[list[Hit]]:
        """The hits of each query, best first, in the store as it was at `min_seq` or later.

        Raises:
            BadRequest: a query that is none.
            NotFound: there is no such store.
            Unavailable: search is not running, or the store is still being read.
        """
