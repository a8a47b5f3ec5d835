"""The text of a file, put together again from its chunks."""

from collections.abc import Sequence

import orjson

from api.db.tables import VectorStore
from api.vault.keys import DataKey
from configs.seal import open_sealed
from retrieval.feed import chunk_place


class Joined:
    """A text that grows chunk by chunk, without what they have twice; offsets in it are those of the chunks."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._end = 0

    def add(self, key: DataKey, store: VectorStore, file_id: str, batch: Sequence[tuple[int, bytes]]) -> None:
        """The next chunks: the number and the sealed content of each.

        Raises:
            Unreadable: one was changed.
        """
        for number, content in batch:
            place = chunk_place(store.id, file_id, number, "content", store.organization_id)
            chunk = orjson.loads(open_sealed(key.key, content, place))
            if chunk["start"] > self._end:  # spaces: as many, so that offsets hold
                self.parts.append("\n".ljust(chunk["start"] - self._end))
            self.parts.append(chunk["text"][max(0, self._end - chunk["start"]) :])
            self._end = max(self._end, chunk["end"])
