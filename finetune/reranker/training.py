"""The loop that teaches the layer to tell the right answer from wrong ones."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from finetune.reranker.dataset import Dataset
from finetune.reranker.network import Base, Interaction

QUESTIONS, WRONG = 8, 3
"""Of a step; wrong answers per question."""
LEARNING_RATE = 2e-4
HEAD_FACTOR = 10
"""The weights of the sum start from nothing and learn so much faster than the layer, which starts as a copy."""
HEAD = ("shares", "sharpness", "worth", "verdict", "sides")
LOWEST_RATE, WARM_UP_SHARE = 0.02, 0.05
YES_OR_NO = 0.2
"""Weight of the loss that asks for each pair alone whether it fits, so that a score means something by itself."""
KEPT = 0.5
"""How much of the start stays in the weights (WiSE-FT, whose default it is; Wortsman et al., arXiv:2109.01903): what
was learnt on docstrings must not cost what the base knows of other text."""
REPORT_EVERY = 50


@dataclass(frozen=True)
class Progress:
    """Where training stands; `loss` is smoothed, in nats per question."""

    step: int
    loss: float
    steps_per_s: float


def train(base: Base, layer: Interaction, data: Dataset, steps: int, seed: int) -> Iterator[Progress]:
    """Train for so many steps; yields now and then, and at the end."""
    optimizer = torch.optim.AdamW(_groups(layer), weight_decay=0.01, fused=True)
    started_s, shown = time.monotonic(), math.nan
    layer.train()
    for step, (questions, answers) in enumerate(data.batches(QUESTIONS, WRONG, seed), 1):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate(step / steps)
        scores = layer(data.questions.side(base, questions), data.answers.side(base, answers)).view(-1, 1 + WRONG)
        right = torch.zeros_like(scores)
        right[:, 0] = 1
        loss = cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64))
        loss = loss + YES_OR_NO * binary_cross_entropy_with_logits(scores, right)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimizer.step()
        shown = float(loss.item()) if math.isnan(shown) else 0.98 * shown + 0.02 * float(loss.item())
        if step % REPORT_EVERY == 0 or step == steps:
            yield Progress(step, shown, step / (time.monotonic() - started_s))
        if step == steps:
            return


def mixed(layer: Interaction, start: Interaction) -> None:
    """Bring the weights back towards those at the start, by KEPT."""
    with torch.no_grad():
        for learnt, first in zip(layer.parameters(), start.parameters(), strict=True):
            learnt.lerp_(first, KEPT)


def rate(share: float) -> float:
    """What the learning rate is multiplied with: a short warm-up, then a cosine down to LOWEST_RATE."""
    fall = LOWEST_RATE + (1 - LOWEST_RATE) * (1 + math.cos(math.pi * share)) / 2
    return min(1.0, share / WARM_UP_SHARE) * fall


def reciprocal_rank(base: Base, layer: Interaction, data: Dataset) -> tuple[float, float]:
    """Mean over all questions of 1 / the place of the right answer among the hard ones: by the layer, by vectors."""
    layer.eval()
    ours, theirs = [], []
    vectors, answers = data.questions.vectors(), data.answers.vectors()
    with torch.inference_mode():
        for row, wrong in enumerate(data.wrong):
            candidates = np.concatenate([[row], np.setdiff1d(wrong, [row])])
            side = data.questions.side(base, np.full(len(candidates), row))
            scores = layer(side, data.answers.side(base, candidates))
            near = answers[torch.from_numpy(candidates)] @ vectors[row]
            ours.append(1 / (1 + int((scores[1:] > scores[0]).sum())))
            theirs.append(1 / (1 + int((near[1:] > near[0]).sum())))
    return float(np.mean(ours)), float(np.mean(theirs))


def _groups(layer: Interaction) -> list[dict[str, object]]:
    named = list(layer.named_parameters())
    head = [part for name, part in named if name.startswith(HEAD)]
    rest = [part for name, part in named if not name.startswith(HEAD)]
    return [
        {"params": rest, "lr": LEARNING_RATE, "peak": LEARNING_RATE},
        {"params": head, "lr": HEAD_FACTOR * LEARNING_RATE, "peak": HEAD_FACTOR * LEARNING_RATE},
    ]
