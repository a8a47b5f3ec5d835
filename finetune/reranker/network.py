"""The network of `reranker`: all-MiniLM-L6-v2, unchanged, and one layer more that reads question and passage together.

The base reads each side alone. The layer added here starts as a copy of the base's last one, takes what goes into that
and sees both sides at once. The score is a weighted sum of how well each word of the question is met in the passage
(late interaction; Khattab and Zaharia, arXiv:2004.12832), by the words themselves, by the base's states and by the
joint ones, of the cosine of both texts, and of what the joint states say.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel

LEVELS = 3
"""Words, the base's states, joint states."""
SHARPNESS = 12.0
"""What the sum is multiplied with at the start, so that a softmax over candidates tells them apart."""


@dataclass(frozen=True)
class Side:
    """A batch of texts: token states [n, tokens, width] of three depths, and which tokens are there [n, tokens]."""

    words: Tensor
    inner: Tensor
    states: Tensor
    mask: Tensor


class Base(nn.Module):
    """The encoder as it came; its weights stay."""

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert.eval().requires_grad_(requires_grad=False)
        self.width = int(bert.config.hidden_size)

    def forward(self, ids: Tensor, mask: Tensor) -> Side:
        """What the interaction needs of texts; ids and mask are [n, tokens]."""
        with torch.no_grad():
            depths = self.bert(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        return Side(self.bert.embeddings.word_embeddings(ids), depths[-2], depths[-1], mask)


class Interaction(nn.Module):
    """What is learnt."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width, inside = config.hidden_size, config.intermediate_size
        self.heads = config.num_attention_heads
        self.attention_in = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.inside = nn.Linear(width, inside)
        self.outside = nn.Linear(inside, width)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.sides = nn.Parameter(torch.zeros(2, width))
        self.worth = nn.Linear(width, LEVELS)
        self.verdict = nn.Linear(width, 1)
        self.shares = nn.Parameter(torch.tensor([0.3, 0.5, 0.2, 0.6]))
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))
        for linear in (self.worth, self.verdict):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def start_from(self, bert: BertModel) -> None:
        """Copy the base's last layer."""
        layer = bert.encoder.layer[-1]
        own, output = layer.attention.self, layer.attention.output
        with torch.no_grad():
            self.attention_in.weight.copy_(torch.cat([own.query.weight, own.key.weight, own.value.weight]))
            self.attention_in.bias.copy_(torch.cat([own.query.bias, own.key.bias, own.value.bias]))
        for mine, theirs in (
            (self.attention_out, output.dense),
            (self.attention_norm, output.LayerNorm),
            (self.inside, layer.intermediate.dense),
            (self.outside, layer.output.dense),
            (self.norm, layer.output.LayerNorm),
        ):
            mine.load_state_dict(theirs.state_dict())

    def forward(self, query: Side, passage: Side) -> Tensor:
        """Scores [n] of n pairs; a sigmoid of one is about how likely the passage answers."""
        joint = self._joint(query, passage)
        split = query.mask.shape[1]
        levels = (
            (query.words, passage.words),
            (query.states, passage.states),
            (joint[:, :split], joint[:, split:]),
        )
        worth = self.worth(query.words).masked_fill(~query.mask.bool()[..., None], -1e4).softmax(dim=1)
        met = [_met(*level, passage.mask) for level in levels]
        sums = [(worth[..., place] * each).sum(dim=1) for place, each in enumerate(met)]
        cosine = (_mean(query.states, query.mask) * _mean(passage.states, passage.mask)).sum(dim=-1)
        found = torch.stack([*sums, cosine], dim=-1) @ self.shares
        said = self.verdict((joint[:, :split] * query.mask[..., None]).sum(1) / query.mask.sum(1, keepdim=True))
        scores: Tensor = self.sharpness * (found - 0.5) + said.squeeze(-1)
        return scores

    def _joint(self, query: Side, passage: Side) -> Tensor:
        given = torch.cat([query.inner + self.sides[0], passage.inner + self.sides[1]], dim=1)
        mask = torch.cat([query.mask, passage.mask], dim=1).bool()
        rows, tokens, width = given.shape
        shape = (rows, tokens, 3, self.heads, width // self.heads)
        asks, keys, values = self.attention_in(given).view(shape).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(asks, keys, values, attn_mask=mask[:, None, None])
        kept = self.attention_norm(given + self.attention_out(seen.transpose(1, 2).reshape(rows, tokens, width)))
        joint: Tensor = self.norm(kept + self.outside(nn.functional.gelu(self.inside(kept))))
        return joint


def _met(query: Tensor, passage: Tensor, mask: Tensor) -> Tensor:
    """For each token of the query the cosine of the nearest token of the passage."""
    alike = normalize(query, dim=-1) @ normalize(passage, dim=-1).transpose(1, 2)
    return alike.masked_fill(~mask.bool()[:, None], -1.0).amax(dim=-1)


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    return normalize((states * mask[..., None]).sum(dim=1), dim=-1)
