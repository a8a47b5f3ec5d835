from collections.abc import Sequence

import numpy as np
import pytest

from retrieval.evaluation import rankings
from retrieval.evaluation.corpus import Question
from retrieval.evaluation.rankings import Passage, Rankings

RAY, TAX = np.eye(2, dtype=np.float32)
ASKED = Question("what is a ray", "sea", "A ray is a fish")


def ranked() -> Rankings:
    texts = [("sea", "A ray is a fish with wings.", TAX), ("law", "What a tax is: a ray of hope.", RAY)]
    texts += [("law", f"Paragraph {number}.", TAX) for number in range(3)]
    return Rankings([Passage(package, text, vector[None]) for package, text, vector in texts])


def test_each_ranker_ranks_its_own_way() -> None:
    dense = ranked().outcome(rankings.DENSE, [(ASKED, RAY)])
    assert dense.found[0][0] is False
    assert dense.quality.recall[5] == 1
    lexical = ranked().outcome(rankings.LEXICAL, [(ASKED, RAY)])
    assert lexical.quality.recall[1] in {0, 1}
    assert len(lexical.found[0]) == 2


def test_a_reranker_has_the_last_word_on_the_first_ones() -> None:
    seen: list[tuple[str, Sequence[str]]] = []

    def score(question: str, texts: Sequence[str]) -> list[float]:
        seen.append((question, texts))
        return [float("fish" in text) for text in texts]

    found = ranked().outcome(rankings.RERANKED_HYBRID, [(ASKED, RAY)], score)
    assert found.quality.mrr == 1
    assert seen[0][0] == "what is a ray"
    assert ranked().outcome(rankings.HYBRID, [(ASKED, RAY)], score).found != found.found


def test_no_question_is_no_evaluation() -> None:
    with pytest.raises(ValueError, match="relevant"):
        ranked().outcome(rankings.HYBRID, [(Question("?", "other", "nowhere"), RAY)])
