"""What embedding and rerank backends share: the `engine:` keys, and where torch runs.

It knows no model and no batching.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from configs.errors import ConfigurationError

CPU_BATCH_TOKENS = 1024
"""On a CPU more tokens per pass are slower: the activations leave the cache and malloc returns them to the system.

all-MiniLM-L6-v2, CPU ms per text of 26 tokens, one thread: 512 tokens 5.8, 1024 5.8, 2048 6.1, 4096 7.2, 16384 11.7.
"""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """The `engine:` keys that embedding and rerank models share."""

    device: str
    dtype: str
    threads: int | None
    max_batch_tokens: int

    @property
    def batch_tokens(self) -> int:
        """Most padded tokens in one pass on this device."""
        return min(self.max_batch_tokens, CPU_BATCH_TOKENS) if self.device == "cpu" else self.max_batch_tokens


def settings(engine: Mapping[str, Any]) -> EncoderSettings:
    """Read the keys, resolve `auto`, and set torch's threads for this process."""
    device, dtype = engine.get("device", "auto"), engine.get("dtype", "auto")
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ConfigurationError("'device: cuda' was asked for, but torch sees no GPU; use 'auto' or 'cpu'")
    if device == "auto":
        device = "cuda" if has_gpu else "cpu"
    if dtype == "auto":
        dtype = "float32"
    if (threads := engine.get("threads")) is not None:
        torch.set_num_threads(threads)
    return EncoderSettings(device, dtype, threads, engine.get("max_batch_tokens", 16384))
