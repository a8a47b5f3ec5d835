"""A chunk as an embedder reads it: under its headings, and in overlapping windows where it is longer than one."""

from collections.abc import Sequence

from models.embedding.protocol import Embedder, InputType
from retrieval.chunking import Chunk, heading, windows

HEAD_SHARE = 4
"""Headings take at most one part in so many of a window."""
OVERLAP_SHARE = 8


class Windows:
    """For one embedder."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._prefix = embedder.prefix(InputType.DOCUMENT)
        self._room = embedder.max_tokens - embedder.special_tokens - len(embedder.offsets(self._prefix))
        self._last: tuple[str, str] = ("", "")

    def inputs(self, chunks: Sequence[Chunk]) -> list[list[list[int]]]:
        """Token ids of each chunk's windows, none longer than the embedder's, at least one per chunk."""
        heads = [self._head(chunk) for chunk in chunks]
        whole = self._embedder.tokenize(
            [self._prefix + head + chunk.text for head, chunk in zip(heads, chunks, strict=True)]
        )
        return [
            [ids] if len(ids) <= self._embedder.max_tokens else self._cut(head, chunk.text)
            for ids, head, chunk in zip(whole, heads, chunks, strict=True)
        ]

    def _cut(self, head: str, text: str) -> list[list[int]]:
        room = max(2, self._room - len(self._embedder.offsets(head)))
        spans = windows(text, self._embedder.offsets, room, room // OVERLAP_SHARE)
        texts = [self._prefix + head + text[start:end] for start, end in spans]
        return self._embedder.tokenize(texts, self._embedder.max_tokens)

    def _head(self, chunk: Chunk) -> str:
        """Headings, outermost first, and the head of the table; what is too long loses its outermost words."""
        names = list(chunk.headings)
        if names and heading(chunk.text) == names[-1]:
            names.pop()
        whole = "\n".join([*names, *([chunk.table_head] if chunk.table_head else [])])
        if self._last[0] != whole:
            self._last = (whole, self._shortened(whole))
        return self._last[1]

    def _shortened(self, text: str) -> str:
        offsets, most = self._embedder.offsets(text), self._room // HEAD_SHARE
        if len(offsets) > most:
            text = text[offsets[-most][0] :] if most > 0 else ""
        return f"{text}\n" if text else ""
