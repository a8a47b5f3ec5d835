"""Embedding models of sentence-transformers: the only door to that library for embeddings.

The library's modules compute the vectors; its `encode` is not used, because it tokenises, sorts and pads per call,
while here texts of many callers share a batch. `warm_up` proves that both give the same vectors.
"""

import statistics
import time
from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from sentence_transformers import SentenceTransformer  # noqa: TID251 - this file is the door
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling  # noqa: TID251 - as above
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from configs.errors import ConfigurationError
from configs.specs import ModelSpec
from models import encoders, sources
from models.embedding.protocol import Embedder, InputType, Tokens, Vectors

LIBRARY = "sentence_transformers"
UNLIMITED = 10**6
"""Tokenizers without a limit say 10**30."""

SAMPLES = ("Manta", "A ray with wide fins.", "Rays glide over the sea bed and feed on plankton, crabs and small fish.")
TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2, "float16": 1e-2}


def create(spec: ModelSpec) -> Embedder:
    """Load the model that `spec` names.

    Raises:
        ConfigurationError: it cannot be found, must not be loaded, or is no text embedding model.
    """
    settings = encoders.settings(spec.engine)
    path = sources.folder(spec.params.source, LIBRARY)
    model = SentenceTransformer(
        str(path),
        device=settings.device,
        trust_remote_code=False,
        local_files_only=True,
        model_kwargs={"dtype": getattr(torch, settings.dtype), "use_safetensors": True},
    )
    return SentenceTransformersEmbedder(spec, model, settings)


class SentenceTransformersEmbedder:
    """One model in memory."""

    def __init__(self, spec: ModelSpec, model: SentenceTransformer, settings: encoders.EncoderSettings) -> None:
        self.model_name = spec.model_name
        self.batch_tokens = settings.batch_tokens
        self.padding_tokens = 32
        self._model = model.eval()
        self._settings = settings
        self._normalize = bool(spec.engine.get("normalize", True))
        self.normalized = self._normalize or isinstance(model[-1], Normalize)
        self._tokenizer = _plain_tokenizer(model)
        self.special_tokens = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        self.vocabulary_size = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self.max_tokens = _window(model)
        self.dimensions = int(model.get_embedding_dimension())
        self._padding = _Padding(model.tokenizer)
        self._prefixes = _prefixes(model, spec.engine.get("query_prefix"), spec.engine.get("document_prefix"))

    def prefix(self, input_type: InputType | None) -> str:
        """The configured prefix, else the model's own prompt of that name."""
        return self._prefixes[input_type]

    def tokenize(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """See `Embedder.tokenize`."""
        found = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        if max_tokens is None:
            return found
        return [self._cut(ids, max_tokens) for ids in found]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """See `Embedder.offsets`."""
        found: list[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return found

    def _cut(self, ids: list[int], max_tokens: int) -> list[int]:
        surplus = len(ids) - max_tokens
        if surplus <= 0:
            return ids
        start = self._padding.head if self._padding.cut_left else len(ids) - self._padding.tail - surplus
        return ids[:start] + ids[start + surplus :]

    def encode(self, inputs: Sequence[Tokens]) -> Vectors:
        """See `Embedder.encode`."""
        with torch.inference_mode():
            features = {name: part.to(self._model.device) for name, part in self._padding.features(inputs).items()}
            vectors = self._model(features)["sentence_embedding"].float()
            if self._normalize:
                vectors = torch.nn.functional.normalize(vectors, p=2, dim=1)
            found: Vectors = vectors.cpu().numpy()
            return found

    def warm_up(self) -> None:
        """Prove that the vectors are the library's own, and learn what padding is worth.

        Raises:
            ConfigurationError: the model needs a step of the library's `encode` that is not done here.
        """
        prefix = self.prefix(None)
        ours = self.encode(self.tokenize([prefix + text for text in SAMPLES]))
        theirs = self._model.encode(
            list(SAMPLES), prompt=prefix, normalize_embeddings=self._normalize, show_progress_bar=False
        )
        if not np.allclose(ours, theirs, atol=TOLERANCE[self._settings.dtype], rtol=1e-3):
            text = f"{self.model_name!r} prepares its inputs in a way that this backend does not know"
            raise ConfigurationError(text)
        self.padding_tokens = self._worth_of_a_pass()

    def _worth_of_a_pass(self) -> int:
        """Tokens that cost what one more pass costs before it touches any: the intercept over the slope."""
        length = min(64, self.max_tokens)
        few, many = [[1] * min(8, length)], [[1] * length] * 8
        few_s, many_s = self._median_s(few), self._median_s(many)
        per_token_s = max(many_s - few_s, 1e-9) / (8 * length - len(few[0]))
        worth = few_s / per_token_s - len(few[0])
        return int(min(max(worth, 8), self.batch_tokens // 2))

    def _median_s(self, inputs: Sequence[Tokens]) -> float:
        times = []
        for _ in range(3):
            start_s = time.perf_counter()
            self.encode(inputs)
            times.append(time.perf_counter() - start_s)
        return statistics.median(times)


class _Padding:
    """How this tokenizer's models want a batch to be laid out."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._pad = tokenizer.pad_token_id or 0
        self._left = tokenizer.padding_side == "left"
        self._types = "token_type_ids" in tokenizer.model_input_names
        self.cut_left = tokenizer.truncation_side == "left"
        marks = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
        self.head, self.tail = _leading(marks), _leading(marks[::-1])

    def features(self, inputs: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        lengths = np.fromiter(map(len, inputs), np.int64, len(inputs))
        places = np.arange(lengths.max())
        mask = places >= places.size - lengths[:, None] if self._left else places < lengths[:, None]
        ids = np.full(mask.shape, self._pad, np.int64)
        ids[mask] = np.fromiter(chain.from_iterable(inputs), np.int64, int(lengths.sum()))
        features = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
        if self._types:
            features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        return features


def _leading(marks: Sequence[int]) -> int:
    return next((place for place, mark in enumerate(marks) if not mark), 0)


def _plain_tokenizer(model: SentenceTransformer) -> Tokenizer:
    """A tokenizer of our own: the library's is reconfigured on each call and so belongs to one thread."""
    backend = getattr(getattr(model, "tokenizer", None), "backend_tokenizer", None)
    if backend is None:
        raise ConfigurationError("the model brings no fast tokenizer (tokenizer.json)")
    tokenizer = Tokenizer.from_str(backend.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # text that spells '[SEP]' is text
    return tokenizer


def _window(model: SentenceTransformer) -> int:
    config = getattr(model[0], "config", None)
    limits = (model.max_seq_length, getattr(config, "max_position_embeddings", None))
    known = [limit for limit in limits if limit is not None and 0 < limit < UNLIMITED]
    if not known:
        raise ConfigurationError("the model does not say how long a text may be; set max_seq_length in its own files")
    return int(min(known))


def _prefixes(model: SentenceTransformer, query: str | None, document: str | None) -> dict[InputType | None, str]:
    prompts = model.prompts or {}
    prefixes = {
        None: prompts.get(model.default_prompt_name, "") if model.default_prompt_name else "",
        InputType.QUERY: query if query is not None else prompts.get("query", ""),
        InputType.DOCUMENT: document if document is not None else prompts.get("document", ""),
    }
    skips = any(isinstance(part, Pooling) and not part.include_prompt for part in model)
    if skips and any(prefixes.values()):
        raise ConfigurationError("the model leaves its prompts out of the mean, which this backend does not do")
    return prefixes
