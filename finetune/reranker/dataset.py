"""Questions with their right answer and hard wrong ones, as the base reads them.

Wrong answers are those of other docstrings that are nearest to the question, by the base's vectors and by words
(TF-IDF); what is nearly the same text as the right answer is left out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import normalize

from finetune.reranker.network import Base, Side
from finetune.reranker.questions import Asked

QUESTION_TOKENS, ANSWER_TOKENS = 32, 96
PASS_TOKENS = 1024
HARD = 24
"""Wrong answers of each of the two kinds, of which a step draws some."""
SAME_TEXT = 0.92
"""Cosine from which on another answer may be right too."""
ROWS = 256

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Texts:
    """Texts as the base has them, cut and padded to one length; states [n, tokens, width] in half precision."""

    ids: Tensor
    inner: Tensor
    states: Tensor
    mask: Tensor

    def side(self, base: Base, rows: Numbers) -> Side:
        """Those rows, as long as the longest of them."""
        chosen = torch.from_numpy(rows)
        mask = self.mask[chosen]
        length = int(mask.sum(dim=1).max())
        words = base.bert.embeddings.word_embeddings(self.ids[chosen, :length])
        inner, states = (each[chosen, :length].float() for each in (self.inner, self.states))
        return Side(words, inner, states, mask[:, :length])

    def vectors(self) -> Tensor:
        """One vector of length 1 of each text, as the base embeds it [n, width]."""
        parts = []
        for first in range(0, len(self.ids), ROWS):
            mask = self.mask[first : first + ROWS, :, None].float()
            parts.append(normalize((self.states[first : first + ROWS].float() * mask).sum(dim=1), dim=-1))
        return torch.cat(parts)


def read(base: Base, tokenizer: Tokenizer, texts: Sequence[str], tokens: int, say: Callable[[str], object]) -> Texts:
    """Every text through the base, the short ones first."""
    found = [each.ids for each in tokenizer.encode_batch(list(texts))]
    cut = [each[: tokens - 1] + each[-1:] if len(each) > tokens else each for each in found]
    ids, mask = (torch.zeros(len(cut), tokens, dtype=torch.int64) for _ in range(2))
    for place, each in enumerate(cut):
        ids[place, : len(each)], mask[place, : len(each)] = torch.tensor(each), 1
    inner, states = (torch.zeros(len(cut), tokens, base.width, dtype=torch.float16) for _ in range(2))
    for number, rows in enumerate(_passes([len(each) for each in cut])):
        length = len(cut[rows[-1]])
        side = base(ids[rows, :length], mask[rows, :length])
        inner[rows, :length], states[rows, :length] = side.inner.half(), side.states.half()
        if number % 200 == 0:
            say(f"read {length} of at most {tokens} tokens")
    return Texts(ids, inner, states, mask)


class Dataset:
    """Questions, their answers, and for each question the places of wrong answers."""

    def __init__(self, asked: Sequence[Asked], questions: Texts, answers: Texts) -> None:
        self.questions, self.answers = questions, answers
        self.wrong = hard_negatives(asked, questions.vectors(), answers.vectors())

    def batches(self, size: int, wrong: int, seed: int) -> Iterator[tuple[Numbers, Numbers]]:
        """Without end: places of questions [size * (1 + wrong)] and of answers, the right one first for each."""
        chance = np.random.default_rng(seed)
        while True:
            order = chance.permutation(len(self.wrong))
            for first in range(0, len(order) - size + 1, size):
                rows = order[first : first + size]
                drawn = np.stack([chance.choice(self.wrong[row], wrong, replace=False) for row in rows])
                yield np.repeat(rows, 1 + wrong), np.concatenate([rows[:, None], drawn], axis=1).reshape(-1)


def hard_negatives(asked: Sequence[Asked], questions: Tensor, answers: Tensor) -> Numbers:
    """Places of wrong answers [n, 2 * HARD]: the nearest by vectors, then the nearest by words."""
    words = TfidfVectorizer(sublinear_tf=True)
    of_answers = words.fit_transform([each.answer for each in asked])
    of_questions = words.transform([each.question for each in asked])
    places = np.array([each.place for each in asked])
    found = np.empty((len(asked), 2 * HARD), np.int64)
    for first in range(0, len(asked), ROWS):
        rows = slice(first, first + ROWS)
        right = (places[rows, None] == places[None]) | ((answers[rows] @ answers.T).numpy() > SAME_TEXT)
        by_vectors = (questions[rows] @ answers.T).numpy()
        by_words = (of_questions[rows] @ of_answers.T).toarray()
        for kind, scores in enumerate((by_vectors, by_words)):
            scores[right] = -1
            found[rows, kind * HARD : (kind + 1) * HARD] = np.argpartition(-scores, HARD, axis=1)[:, :HARD]
    return found


def _passes(lengths: Sequence[int]) -> Iterator[list[int]]:
    rows: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if rows and (len(rows) + 1) * lengths[place] > PASS_TOKENS:
            yield rows
            rows = []
        rows.append(place)
    if rows:
        yield rows
