"""Cross-encoders of sentence-transformers: the only door to that library for reranking."""

from collections.abc import Sequence

import numpy as np
import torch
from sentence_transformers import CrossEncoder  # noqa: TID251 - this file is the door
from tokenizers import Tokenizer

from configs.errors import ConfigurationError
from configs.specs import ModelSpec
from models import encoders, sources
from models.rerank.protocol import Pair, Reranker, Scores

LIBRARY = "sentence_transformers"
UNLIMITED = 10**6
"""Tokenizers without a limit say 10**30."""


def create(spec: ModelSpec) -> Reranker:
    """Load the model that `spec` names.

    Raises:
        ConfigurationError: it cannot be found, must not be loaded, or gives no single score.
    """
    settings = encoders.settings(spec.engine)
    path = sources.folder(spec.params.source, LIBRARY)
    model = CrossEncoder(
        str(path),
        device=settings.device,
        trust_remote_code=False,
        local_files_only=True,
        model_kwargs={"dtype": getattr(torch, settings.dtype), "use_safetensors": True},
    )
    if model.num_labels != 1:
        raise ConfigurationError(f"{spec.model_name!r} gives {model.num_labels} scores per pair; a reranker gives one")
    return SentenceTransformersReranker(spec, model, settings)


class SentenceTransformersReranker:
    """One model in memory."""

    def __init__(self, spec: ModelSpec, model: CrossEncoder, settings: encoders.EncoderSettings) -> None:
        self.model_name = spec.model_name
        self.batch_tokens = settings.batch_tokens
        self._model = model
        self._tokenizer = _plain_tokenizer(model)
        self.special_tokens = self._tokenizer.num_special_tokens_to_add(is_pair=True)
        self.max_tokens = _window(model)
        model.tokenizer.split_special_tokens = True  # text that spells '[SEP]' is text

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `Reranker`."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in found]

    def score(self, pairs: Sequence[Pair]) -> Scores:
        """See `Reranker`."""
        scores = self._model.predict(list(pairs), batch_size=len(pairs), show_progress_bar=False)
        found: Scores = np.asarray(scores, np.float32)
        return found


def _window(model: CrossEncoder) -> int:
    limits = (model.max_seq_length, getattr(model.config, "max_position_embeddings", None))
    known = [limit for limit in limits if limit is not None and 0 < limit < UNLIMITED]
    if not known or model.max_seq_length != min(known):
        raise ConfigurationError("the model does not say how long a pair may be; set model_max_length in its own files")
    return int(min(known))


def _plain_tokenizer(model: CrossEncoder) -> Tokenizer:
    """A tokenizer of our own: the library's is reconfigured on each call and so belongs to one thread."""
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ConfigurationError("the model brings no fast tokenizer (tokenizer.json)")
    tokenizer = Tokenizer.from_str(backend.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer
