"""What tells an embedding model from another of its name: the vector of one sentence, made again and compared.

Hashes of weights are not known of every backend, and differ between devices and number formats whose vectors agree.
"""

from weakref import WeakKeyDictionary

import numpy as np

from models.embedding.bulk import encode_all
from models.embedding.protocol import Embedder, InputType, Vectors

SENTENCE = "In 1905 the rays of the north coast were counted: 214 of them, more than anybody had expected."
"""Embedded as a document. What changes its vector changes those of all documents: weights, pooling, a prefix."""
LEAST_COSINE = 0.999
"""MiniLM in bfloat16 is at 0.99995 of itself in float32."""

_made: WeakKeyDictionary[Embedder, Vectors] = WeakKeyDictionary()


def probe(embedder: Embedder) -> Vectors:
    """The vector [dimensions] of `SENTENCE`; made once for an embedder that is loaded."""
    if embedder not in _made:
        text = embedder.prefix(InputType.DOCUMENT) + SENTENCE
        _made[embedder] = encode_all(embedder, embedder.tokenize([text], embedder.max_tokens))[0]
    return _made[embedder]


def kept(vector: Vectors) -> bytes:
    """A probe as it is stored with what the model embedded."""
    return vector.astype("<f4").tobytes()


def is_same(known: bytes | None, vector: Vectors) -> bool:
    """Whether a probe that was kept is of this model; one that is not known says nothing against it."""
    if known is None:
        return True
    before = np.frombuffer(known, "<f4")
    if before.shape != vector.shape:
        return False
    length = float(np.linalg.norm(before) * np.linalg.norm(vector))
    return length > 0 and float(before @ vector) / length >= LEAST_COSINE
