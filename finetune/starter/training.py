"""The network of `starter` and the loop that trains it, on whatever processor torch sees."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from finetune.starter.dataset import IGNORED, Rows
from finetune.starter.tokenizer import WINDOW

VOCABULARY = 3072
LEARNING_RATE = 3e-3
LOWEST_RATE = 0.02
WARM_UP_SHARE = 0.03
SHORT, LONG = (4, 384), (1, WINDOW)
"""(rows, tokens) of a step. In the same time, many small steps reach a far lower loss here than few large ones."""

LONG_EVERY = 40
"""One step in so many reads a whole window, so that far positions are learnt too."""

REPORT_EVERY = 50


@dataclass(frozen=True)
class Progress:
    """Where training stands. `loss` is in nats per learnt token, smoothed."""

    step: int
    share: float
    loss: float
    tokens_per_s: float


def network(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained Llama of 4.2 million parameters, in float32."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=256,
            intermediate_size=640,
            num_hidden_layers=5,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=WINDOW,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def train(model: LlamaForCausalLM, rows: Rows, seconds: float) -> Iterator[Progress]:
    """Train for so long; yields now and then. The learning rate follows the time that has passed."""
    optimizer = torch.optim.AdamW(_groups(model), lr=LEARNING_RATE, betas=(0.9, 0.95), fused=True)
    started, step, seen, loss_shown = time.monotonic(), 0, 0, math.nan
    model.train()
    while (share := (time.monotonic() - started) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate(share)
        shape = LONG if step % LONG_EVERY == LONG_EVERY - 1 else SHORT
        loss = _step(model, rows, optimizer, shape)
        loss_shown = loss if math.isnan(loss_shown) else 0.95 * loss_shown + 0.05 * loss
        step, seen = step + 1, seen + math.prod(shape)
        if step % REPORT_EVERY == 0:
            yield Progress(step, share, loss_shown, seen / (time.monotonic() - started))


def rate(share: float) -> float:
    """What the learning rate is multiplied with: a short warm-up, then a cosine down to LOWEST_RATE."""
    if share < WARM_UP_SHARE:
        return share / WARM_UP_SHARE
    fall = (share - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)
    return LOWEST_RATE + (1 - LOWEST_RATE) * (1 + math.cos(math.pi * fall)) / 2


def _step(model: LlamaForCausalLM, rows: Rows, optimizer: torch.optim.Optimizer, shape: tuple[int, int]) -> float:
    batch = rows.batch(*shape)
    while not (learnt := batch.labels != IGNORED).any():  # short rows may hold nothing but questions
        batch = rows.batch(*shape)
    positions = None if shape == LONG else batch.positions
    states = model.model(input_ids=batch.inputs, position_ids=positions, use_cache=False).last_hidden_state
    loss = cross_entropy(model.lm_head(states[learnt]), batch.labels[learnt])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.item())


def _groups(model: LlamaForCausalLM) -> list[dict[str, object]]:
    """Weight decay for matrices only."""
    parameters = list(model.parameters())
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    rest = [parameter for parameter in parameters if parameter.dim() <= 1]
    return [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
