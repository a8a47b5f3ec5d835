"""Vectors as 8-bit numbers. It knows no index."""

from typing import Self

import numpy as np

from retrieval.index.protocol import Bits, Vectors

LEVELS = 255
MARGIN = 0.1
"""By what share of its range a few numbers may miss it before a rebuild makes new codes, and so rounds again."""


class Codec:
    """Numbers as 8 bits, each dimension with its own range; what was decoded encodes to the same."""

    def __init__(self, low: Vectors, step: Vectors) -> None:
        self.low, self.step = low, step

    @classmethod
    def over(cls, low: Vectors, high: Vectors) -> Self:
        """For numbers from low [d] to high [d]."""
        return cls(low, np.maximum(high - low, np.float32(1e-6)) / np.float32(LEVELS))

    def holds(self, low: Vectors, high: Vectors) -> bool:
        """Whether numbers from low [d] to high [d] fit well enough: what is beyond its range takes its end."""
        margin = MARGIN * LEVELS * self.step
        return bool((low >= self.low - margin).all() and (high <= self.low + LEVELS * self.step + margin).all())

    def encode(self, vectors: Vectors) -> Bits:
        """Codes [n, d]."""
        codes: Bits = np.clip(np.rint((vectors - self.low) / self.step), 0, LEVELS).astype(np.uint8)
        return codes

    def decode(self, codes: Bits) -> Vectors:
        """Vectors [n, d]."""
        decoded: Vectors = codes * self.step + self.low
        return decoded

    def products(self, codes: Bits, query: Vectors) -> Vectors:
        """Inner products [n] of what codes [n, d] stand for with a query [d], without decoding them."""
        products: Vectors = codes.astype(np.float32) @ (self.step * query)
        return products + np.float32(self.low @ query)
