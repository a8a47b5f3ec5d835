"""The words of embedding: what a backend offers, what a caller asks, what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Tokens = Sequence[int]


class InputType(StrEnum):
    """What a text is for. Models trained for retrieval put different words before each."""

    QUERY = "query"
    DOCUMENT = "document"


class Embedder(Protocol):
    """A loaded model. `tokenize` may run in any thread, `encode` and `warm_up` in one thread at a time."""

    @property
    def model_name(self) -> str:
        """The name by which clients ask for it."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """The window: the longest input, special tokens included."""

    @property
    def special_tokens(self) -> int:
        """How many special tokens `tokenize` puts around a text."""

    @property
    def vocabulary_size(self) -> int:
        """Token ids are below this."""

    @property
    def normalized(self) -> bool:
        """Whether every vector has length 1."""

    @property
    def batch_tokens(self) -> int:
        """Most padded tokens that one `encode` should get on this device."""

    @property
    def padding_tokens(self) -> int:
        """Padding that costs as much as one more call of `encode`; known after `warm_up`."""

    def prefix(self, input_type: InputType | None) -> str:
        """What the model wants before a text of that type; often empty."""

    def tokenize(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """Token ids with the model's special tokens around them; text that spells one stays text.

        Not cut to the window. `max_tokens` (more than `special_tokens`) cuts each text, not its special tokens.
        """

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `text` begins and ends (characters), without special tokens. May run in any thread."""

    def encode(self, inputs: Sequence[Tokens]) -> Vectors:
        """Vectors [len(inputs), dimensions] of non-empty inputs within the window. Blocks; holds no lock."""

    def warm_up(self) -> None:
        """Run once before the first request. Raises ConfigurationError if the model cannot be served."""


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """1 to 2048 inputs, all texts or all token lists. `truncate_prompt_tokens`: None refuses, -1 is the window."""

    inputs: list[str] | list[list[int]]
    dimensions: int | None = None
    truncate_prompt_tokens: int | None = None
    input_type: InputType | None = None
    base64: bool = False


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """Vectors [inputs, dimensions] and the tokens that went through the model, special ones included."""

    vectors: Vectors
    prompt_tokens: int
