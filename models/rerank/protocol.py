"""The words of reranking: what a backend offers and what a caller asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
Pair = tuple[str, str]


class Reranker(Protocol):
    """A loaded model. `count` may run in any thread, `score` in one thread at a time."""

    @property
    def model_name(self) -> str:
        """The name by which clients ask for it."""

    @property
    def max_tokens(self) -> int:
        """The window: query, document and special tokens."""

    @property
    def batch_tokens(self) -> int:
        """Most padded tokens that one `score` should get on this device."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones not counted; text that spells one stays text."""

    @property
    def special_tokens(self) -> int:
        """How many special tokens stand around a pair."""

    def score(self, pairs: Sequence[Pair]) -> Scores:
        """Scores [len(pairs)] of (query, document), high is near; beyond the window, the longer part's end is cut."""


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """1 to 2048 documents for one query. `top_n`: None is all."""

    query: str
    documents: list[str]
    top_n: int | None = None
    return_documents: bool = True
