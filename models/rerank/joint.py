"""Rerankers made by `python -m finetune.reranker`: a bundled encoder, and one layer that reads both sides together.

The encoder reads query and document apart. The layer takes what goes into the encoder's last one, and sees both. The
score is a weighted sum of how well each token of the query is met in the document (by words, by the encoder's states
and by the joint ones), of the cosine of both, and of what the joint states say; a sigmoid brings it between 0 and 1.
`finetune/reranker/network.py` is the same network as it learns; tests hold the two together.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention
from transformers import BertModel

from configs.errors import ConfigurationError
from configs.specs import ModelSpec
from models import encoders, sources
from models.rerank.protocol import Pair, Reranker, Scores

LIBRARY = "transformers"
MAX_TOKENS = 1024
WINDOW, OVERLAP = 160, 32
"""Tokens of a document that are read at once, special ones included, and that two neighbours share."""
WINDOWS_READ = 2
"""Of a long document only those whose words meet the query's best are read; the better one counts."""
CLS_SEP = 2
ALIKE = 256
"""Windows at most in one pass of the joint layer."""


def create(spec: ModelSpec) -> Reranker:
    """Load the model that `spec` names.

    Raises:
        ConfigurationError: it cannot be found, or is none of this kind.
    """
    settings = encoders.settings(spec.engine)
    folder = sources.folder(spec.params.source, LIBRARY)
    config = folder / "config.json"
    base = json.loads(config.read_text("utf-8")).get("joint_base") if config.is_file() else None
    if not base:
        raise ConfigurationError(
            f"{spec.model_name!r} was not made by finetune.reranker: {config} names no 'joint_base'"
        )
    encoder = sources.folder(base, "sentence_transformers")
    dtype = getattr(torch, settings.dtype)
    bert = BertModel.from_pretrained(str(encoder), add_pooling_layer=False, local_files_only=True, dtype=dtype)
    layer = {name: part.to(settings.device, dtype) for name, part in load_file(folder / "model.safetensors").items()}
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    return JointReranker(spec.model_name, bert.to(settings.device).eval(), layer, tokenizer, settings)


@dataclass(frozen=True, slots=True)
class _Side:
    """Texts as the encoder has them: [n, tokens, width], and [n, tokens] which tokens are there."""

    words: Tensor
    inner: Tensor
    states: Tensor
    mask: Tensor

    def of(self, rows: Tensor) -> "_Side":
        return _Side(self.words[rows], self.inner[rows], self.states[rows], self.mask[rows])


class JointReranker:
    """One model in memory."""

    def __init__(
        self,
        name: str,
        bert: BertModel,
        layer: dict[str, Tensor],
        tokenizer: Tokenizer,
        settings: encoders.EncoderSettings,
    ) -> None:
        self.model_name = name
        self.max_tokens = MAX_TOKENS
        self.special_tokens = 2 * CLS_SEP
        self.batch_tokens = settings.batch_tokens * MAX_TOKENS // (WINDOWS_READ * WINDOW)
        self._pass_tokens = settings.batch_tokens
        self._bert = bert
        self._layer = layer
        self._heads = bert.config.num_attention_heads
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True  # text that spells '[SEP]' is text
        self._tokenizer = tokenizer
        self._cls, *_, self._sep = tokenizer.encode("a").ids

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `Reranker`."""
        return [len(ids) for ids in self._ids(texts)]

    def score(self, pairs: Sequence[Pair]) -> Scores:
        """See `Reranker`."""
        queries = list(dict.fromkeys(query for query, _ in pairs))
        asked = dict(zip(queries, self._ids(queries), strict=True))
        found = np.zeros(len(pairs), np.float32)
        with torch.inference_mode():
            owners, windows = self._windows(
                [asked[query] for query, _ in pairs], self._ids([text for _, text in pairs])
            )
            order = sorted(range(len(windows)), key=lambda place: len(windows[place]))
            for places in self._passes(order, windows):
                rows = [owners[place] for place in places]
                scores = self._scores([asked[pairs[row][0]] for row in rows], [windows[place] for place in places])
                np.maximum.at(found, rows, scores.sigmoid().float().cpu().numpy())
        return found

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def _windows(
        self, queries: Sequence[list[int]], documents: Sequence[list[int]]
    ) -> tuple[list[int], list[list[int]]]:
        """The windows to read of each document, with its place."""
        owners: list[int] = []
        found: list[list[int]] = []
        step = WINDOW - CLS_SEP - OVERLAP
        for place, (query, document) in enumerate(zip(queries, documents, strict=True)):
            ids = document[: MAX_TOKENS - 2 * CLS_SEP - len(query)]
            cut = [ids[first : first + WINDOW - CLS_SEP] for first in range(0, max(1, len(ids) - OVERLAP), step)]
            chosen = self._likeliest(query, cut) if len(cut) > WINDOWS_READ else cut
            owners += [place] * len(chosen)
            found += chosen
        return owners, found

    def _likeliest(self, query: list[int], cut: Sequence[list[int]]) -> list[list[int]]:
        """Those whose words meet the query's best; the encoder is not asked."""
        words = self._bert.embeddings.word_embeddings
        ids, mask = _padded(cut, self._bert.device)
        asked = words(torch.tensor([[self._cls, *query, self._sep]], device=self._bert.device))
        met = _met(asked.expand(len(cut), -1, -1), words(ids), mask)
        return [cut[place] for place in (met @ self._worth(asked)[0, :, 0]).argsort(descending=True)[:WINDOWS_READ]]

    def _passes(self, order: Sequence[int], windows: Sequence[list[int]]) -> list[list[int]]:
        passes: list[list[int]] = []
        for place in order:
            length = len(windows[place]) + CLS_SEP
            last = passes[-1] if passes else []
            if not last or len(last) == ALIKE or (len(last) + 1) * length > self._pass_tokens:
                passes.append([])
            passes[-1].append(place)
        return passes

    def _scores(self, queries: Sequence[list[int]], windows: Sequence[list[int]]) -> Tensor:
        known = list({tuple(query): None for query in queries})
        asked = self._side([list(query) for query in known])
        rows = torch.tensor([known.index(tuple(query)) for query in queries], device=self._bert.device)
        return self._interaction(asked.of(rows), self._side(windows))

    def _side(self, texts: Sequence[list[int]]) -> _Side:
        ids, mask = _padded([[self._cls, *ids, self._sep] for ids in texts], self._bert.device)
        depths = self._bert(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        return _Side(self._bert.embeddings.word_embeddings(ids), depths[-2], depths[-1], mask)

    def _interaction(self, query: _Side, document: _Side) -> Tensor:
        """Scores [n] before the sigmoid."""
        split, part = query.mask.shape[1], self._layer
        joint = self._joint(query, document)
        levels = ((query.words, document.words), (query.states, document.states), (joint[:, :split], joint[:, split:]))
        worth = self._worth(query.words, query.mask)
        sums = [(worth[..., place] * _met(*level, document.mask)).sum(dim=1) for place, level in enumerate(levels)]
        cosine = (_mean(query.states, query.mask) * _mean(document.states, document.mask)).sum(dim=-1)
        found = torch.stack([*sums, cosine], dim=-1) @ part["shares"]
        middle = (joint[:, :split] * query.mask[..., None]).sum(dim=1) / query.mask.sum(dim=1, keepdim=True)
        said = linear(middle, part["verdict.weight"], part["verdict.bias"]).squeeze(-1)
        scores: Tensor = part["sharpness"] * (found - 0.5) + said
        return scores

    def _worth(self, words: Tensor, mask: Tensor | None = None) -> Tensor:
        """What each token of a query counts for, by level [n, tokens, 3]."""
        worth = linear(words, self._layer["worth.weight"], self._layer["worth.bias"])
        shown = worth if mask is None else worth.masked_fill(~mask.bool()[..., None], -1e4)
        return shown.softmax(dim=1)

    def _joint(self, query: _Side, document: _Side) -> Tensor:
        """States of the layer that sees both sides [n, tokens of both, width]."""
        part = self._layer
        given = torch.cat([query.inner + part["sides"][0], document.inner + part["sides"][1]], dim=1)
        mask = torch.cat([query.mask, document.mask], dim=1).bool()
        rows, tokens, width = given.shape
        mixed = linear(given, part["attention_in.weight"], part["attention_in.bias"])
        asks, keys, values = mixed.view(rows, tokens, 3, self._heads, width // self._heads).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(asks, keys, values, attn_mask=mask[:, None, None])
        seen = seen.transpose(1, 2).reshape(rows, tokens, width)
        kept = self._normed(
            given + linear(seen, part["attention_out.weight"], part["attention_out.bias"]), "attention_norm"
        )
        inside = gelu(linear(kept, part["inside.weight"], part["inside.bias"]))
        return self._normed(kept + linear(inside, part["outside.weight"], part["outside.bias"]), "norm")

    def _normed(self, states: Tensor, name: str) -> Tensor:
        weight, bias = self._layer[f"{name}.weight"], self._layer[f"{name}.bias"]
        normed: Tensor = layer_norm(states, weight.shape, weight, bias, self._bert.config.layer_norm_eps)
        return normed


def _padded(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and mask [n, tokens of the longest]."""
    longest = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts], device=device)
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts], device=device)
    return ids, mask


def _met(query: Tensor, document: Tensor, mask: Tensor) -> Tensor:
    """For each token of the query the cosine of the nearest token of the document [n, tokens]."""
    alike = normalize(query, dim=-1) @ normalize(document, dim=-1).transpose(1, 2)
    nearest: Tensor = alike.masked_fill(~mask.bool()[:, None], -1.0).amax(dim=-1)
    return nearest


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    mean: Tensor = normalize((states * mask[..., None]).sum(dim=1), dim=-1)
    return mean
