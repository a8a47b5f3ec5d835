"""Vectors to measure with."""

import numpy as np

from retrieval.index.protocol import Vectors

K = 10
DIMENSIONS = 384


def unit_vectors(count: int, dimensions: int, seed: int) -> Vectors:
    """Gathered around a few hundred centres, as texts are."""
    choose = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(300, dimensions))
    vectors = centres[choose.integers(0, 300, count)] + 0.7 * choose.normal(size=(count, dimensions))
    scaled: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled
