"""Texts of many callers in token-budget batches: the embedder runs whenever a text waits, and pads little."""

from collections.abc import Sequence

import numpy as np

from configs.batching import Batcher, BatchStats
from configs.fair_queue import BatchLimits
from models.embedding.protocol import Embedder, Tokens, Vectors

MAX_BATCH_INPUTS = 512
MAX_QUEUED_TOKENS = 2**20
"""Two requests of the largest kind: 2048 texts that each fill a window of 256."""


class TokenBatcher:
    """One embedder in its own thread. Make it after `warm_up`, which sets what padding is worth."""

    def __init__(self, embedder: Embedder, *, max_queued_tokens: int = MAX_QUEUED_TOKENS) -> None:
        limits = BatchLimits(size=embedder.batch_tokens, items=MAX_BATCH_INPUTS, padding=embedder.padding_tokens)
        self._batcher: Batcher[Tokens, Vectors] = Batcher(
            lambda inputs: list(embedder.encode(inputs)),
            limits,
            max_queued=max_queued_tokens,
            name=f"embed-{embedder.model_name}",
        )

    @property
    def stats(self) -> BatchStats:
        """Counters; sizes are tokens."""
        return self._batcher.stats

    @property
    def queued_tokens(self) -> int:
        """Tokens that wait, padding not counted."""
        return self._batcher.queued

    @property
    def busy_for_s(self) -> float:
        """How long the running batch has been running; 0 when none is."""
        return self._batcher.busy_for_s

    async def embed(self, inputs: Sequence[Tokens]) -> Vectors:
        """Vectors [len(inputs), dimensions] of non-empty inputs within the window.

        Raises:
            Overloaded, Unavailable, Internal: see `Batcher.submit`.
        """
        return np.stack(await self._batcher.submit(inputs, [len(tokens) for tokens in inputs]))

    def close(self) -> None:
        """Finish the running batch and refuse the rest."""
        self._batcher.close()
