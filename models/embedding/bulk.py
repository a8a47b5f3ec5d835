"""Many texts through an embedder at once, where nobody waits for a single one: sorted by length, hardly padded."""

from collections.abc import Iterator, Sequence

import numpy as np

from configs.errors import Internal
from models.embedding.protocol import Embedder, Tokens, Vectors

MAX_BATCH_INPUTS = 512


def encode_all(embedder: Embedder, inputs: Sequence[Tokens]) -> Vectors:
    """Vectors [len(inputs), dimensions] of length 1, in the order of the inputs, which are within the window.

    An input without a token has the vector 0.

    Raises:
        Internal: the model gave a vector that is not finite.
    """
    found = np.zeros((len(inputs), embedder.dimensions), np.float32)
    for places in _batches(inputs, embedder.batch_tokens):
        found[places] = embedder.encode([inputs[place] for place in places])
    if not np.isfinite(found).all():
        raise Internal("The model gave a vector that is not finite.")
    if not embedder.normalized:
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return found


def _batches(inputs: Sequence[Tokens], batch_tokens: int) -> Iterator[list[int]]:
    """Places of inputs that go together, the longest first: what does not fit into memory fails at once."""
    batch: list[int] = []
    for place in sorted(range(len(inputs)), key=lambda place: -len(inputs[place])):
        if not inputs[place]:
            continue
        if batch and (len(batch) == MAX_BATCH_INPUTS or (len(batch) + 1) * len(inputs[batch[0]]) > batch_tokens):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
