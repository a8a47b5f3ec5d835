"""From conversations to rows of token ids, with the places marked where the model learns to write."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from finetune.starter.conversations import Conversation, conversations, known
from finetune.starter.tokenizer import CLOSE, END_OF_TEXT, OPEN

IGNORED = -100
PROSE_SHARE = 0.06
SENTENCES = 4


@dataclass(frozen=True)
class Batch:
    """`inputs`, `labels` and `positions`, all (rows, tokens) of int64; a label is the next token, or IGNORED.

    `positions` start at 0 with each conversation: attention takes that for a border that nothing is seen across.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor


class Rows:
    """Rows of one conversation after the other, without padding; the same for the same seed."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self._tokenizer = tokenizer
        self._chance = random.Random(seed)
        self._conversations = conversations(seed)
        self._open, self._close, self._end = tokenizer.convert_tokens_to_ids([OPEN, CLOSE, END_OF_TEXT])
        self._assistant = tokenizer.encode("assistant\n", add_special_tokens=False)

    def batch(self, rows: int, tokens: int) -> Batch:
        """The next rows; each begins with a whole conversation."""
        pairs = [self._row(tokens + 1) for _ in range(rows)]
        ids = torch.tensor([ids for ids, _ in pairs])
        learnt = torch.tensor([learnt for _, learnt in pairs])
        return Batch(ids[:, :-1], torch.where(learnt, ids, IGNORED)[:, 1:], _positions(ids[:, :-1] == self._end))

    def _row(self, length: int) -> tuple[list[int], list[bool]]:
        ids: list[int] = []
        learnt: list[bool] = []
        while len(ids) < length:
            more, marks = (
                self._prose() if self._chance.random() < PROSE_SHARE else self._chat(next(self._conversations))
            )
            ids += [*more, self._end]
            learnt += [*marks, True]
        return ids[:length], learnt[:length]

    def _chat(self, conversation: Conversation) -> tuple[list[int], list[bool]]:
        text = rendered(self._tokenizer, conversation)
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        return ids, list(self._marks(ids))

    def _marks(self, ids: list[int]) -> Iterator[bool]:
        """True for what an assistant says, its last token included."""
        speaks_from = len(ids)
        for place, token in enumerate(ids):
            if token == self._open and ids[place + 1 : place + 1 + len(self._assistant)] == self._assistant:
                speaks_from = place + 1 + len(self._assistant)
            yield place >= speaks_from
            if token == self._close:
                speaks_from = len(ids)

    def _prose(self) -> tuple[list[int], list[bool]]:
        facts = self._chance.sample(known(), SENTENCES)
        text = " ".join(self._chance.choice(answers) for _, answers in facts)
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        return ids, [True] * len(ids)


def _positions(is_end: torch.Tensor) -> torch.Tensor:
    """Places counted from the last end of a text before them."""
    places = torch.arange(is_end.shape[1]).expand(is_end.shape)
    starts = torch.where(is_end.roll(1, 1), places, 0)
    starts[:, 0] = 0
    return places - starts.cummax(1).values


def rendered(tokenizer: PreTrainedTokenizerFast, conversation: Conversation) -> str:
    """A conversation as the model reads it."""
    return str(tokenizer.apply_chat_template(conversation.messages, tools=conversation.tools or None, tokenize=False))
