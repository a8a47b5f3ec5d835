"""An embedding request from words to vectors: tokenise, check the window, batch, cut to the dimensions asked for.

It knows no HTTP and not who serves it.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from configs.batching import BatchStats
from configs.errors import BadRequest, ContextTooLong, Internal
from models.embedding.batcher import MAX_QUEUED_TOKENS, TokenBatcher
from models.embedding.protocol import Embedder, EmbeddingRequest, EmbeddingResult, Vectors

INLINE_CHARACTERS = 4096
"""Texts up to this size together are tokenised at once (about 0.2 ms); a thread costs more than that."""


class EmbeddingService:
    """One warmed-up embedder with its queue."""

    def __init__(self, embedder: Embedder, *, max_queued_tokens: int = MAX_QUEUED_TOKENS) -> None:
        self.embedder = embedder
        self.batcher = TokenBatcher(embedder, max_queued_tokens=max_queued_tokens)
        self._tokenizing = ThreadPoolExecutor(2, thread_name_prefix=f"tokenize-{embedder.model_name}")

    @property
    def stats(self) -> BatchStats:
        """Counters of the queue; sizes are tokens."""
        return self.batcher.stats

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResult:
        """Vectors in the order of the inputs.

        Raises:
            BadRequest: an input is out of range for this model.
            ContextTooLong: an input is longer than the window and the request does not say to cut it.
            Overloaded, Unavailable, Internal: see `Batcher.submit`.
        """
        self._check_dimensions(request.dimensions)
        inputs = await self._tokens(request)
        vectors = await self.batcher.embed(inputs)
        if not np.isfinite(vectors).all():
            raise Internal("The model gave a vector that is not finite.")
        return EmbeddingResult(self._shortened(vectors, request.dimensions), sum(map(len, inputs)))

    def close(self) -> None:
        """Finish the running batch, refuse the rest, end the threads."""
        self.batcher.close()
        self._tokenizing.shutdown(cancel_futures=True)

    def _check_dimensions(self, dimensions: int | None) -> None:
        if dimensions is not None and dimensions > self.embedder.dimensions:
            name, most = self.embedder.model_name, self.embedder.dimensions
            raise BadRequest(f"'dimensions' is {dimensions}, but {name!r} has {most}.", param="dimensions")

    def _shortened(self, vectors: Vectors, dimensions: int | None) -> Vectors:
        if dimensions is None or dimensions == vectors.shape[1]:
            return vectors
        shorter = vectors[:, :dimensions]
        if self.embedder.normalized:
            shorter = shorter / np.maximum(np.linalg.norm(shorter, axis=1, keepdims=True), 1e-12)
        return np.ascontiguousarray(shorter, np.float32)

    async def _tokens(self, request: EmbeddingRequest) -> Sequence[Sequence[int]]:
        limit = self._limit(request.truncate_prompt_tokens)
        if isinstance(request.inputs[0], str):
            inputs = await self._tokenized(request, limit)
        else:
            inputs = self._given(request, limit)
        for index, tokens in enumerate(inputs):
            self._check_length(index, len(tokens))
        return inputs

    def _limit(self, truncate: int | None) -> int | None:
        """The length to cut to; None says not to cut."""
        if truncate is None:
            return None
        low, high = self.embedder.special_tokens + 1, self.embedder.max_tokens
        if truncate != -1 and not low <= truncate <= high:
            text = f"'truncate_prompt_tokens' must be -1 (the model's window) or {low} to {high}."
            raise BadRequest(text, param="truncate_prompt_tokens")
        return high if truncate == -1 else truncate

    async def _tokenized(self, request: EmbeddingRequest, limit: int | None) -> list[list[int]]:
        prefix = self.embedder.prefix(request.input_type)
        texts = [prefix + str(text) for text in request.inputs]
        if sum(map(len, texts)) <= INLINE_CHARACTERS:
            return self.embedder.tokenize(texts, limit)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tokenizing, self.embedder.tokenize, texts, limit)

    def _given(self, request: EmbeddingRequest, limit: int | None) -> list[list[int]]:
        """Token lists go to the model as they are: no prefix and no special tokens are added."""
        inputs = [list(tokens) for tokens in request.inputs if not isinstance(tokens, str)]
        for index, tokens in enumerate(inputs):
            if min(tokens) < 0 or max(tokens) >= self.embedder.vocabulary_size:
                text = f"Input {index} has a token id outside 0 to {self.embedder.vocabulary_size - 1}."
                raise BadRequest(text, param="input")
        return [tokens[:limit] for tokens in inputs]

    def _check_length(self, index: int, length: int) -> None:
        most = self.embedder.max_tokens
        if not length:
            raise BadRequest(f"Input {index} holds nothing that the model reads.", param="input")
        if length > most:
            name = self.embedder.model_name
            text = (
                f"Input {index} has {length} tokens, more than the {most} of {name!r}; 'truncate_prompt_tokens' cuts."
            )
            raise ContextTooLong(text, param="input")
