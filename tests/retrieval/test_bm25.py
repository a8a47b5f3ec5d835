import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.bm25 import K1, B, Holders, Lexicon, Living, often, scores, scores_of

TEXT = st.lists(st.sampled_from("abcdef"), max_size=8)


def truth(documents: list[list[str]], query: list[str]) -> list[float]:
    """The formula, one document at a time."""
    mean = sum(map(len, documents)) / max(len(documents), 1)
    found = []
    for document in documents:
        score, counts = 0.0, Counter(document)
        for term in query:
            holders = sum(term in each for each in documents)
            idf = math.log1p((len(documents) - holders + 0.5) / (holders + 0.5))
            if counts[term]:
                score += idf * counts[term] / (counts[term] + K1 * (1 - B + B * len(document) / mean))
        found.append(score)
    return found


@given(
    documents=st.lists(st.tuples(TEXT, st.integers(0, 1), st.booleans()), max_size=12), query=TEXT, merge=st.booleans()
)
def test_scores_are_the_formula_over_the_living_however_they_are_spread(
    documents: list[tuple[list[str], int, bool]], query: list[str], merge: bool
) -> None:
    lexicons, alive, order = [Lexicon(), Lexicon()], [list[bool](), list[bool]()], [list[int](), list[int]()]
    for place, (text, which, lives) in enumerate(documents):
        lexicons[which].add(text)
        alive[which].append(lives)
        order[which].append(place)
    masks = [np.array(each, bool) for each in alive]
    if merge:
        living = np.concatenate(masks)
        moved = np.where(living, np.cumsum(living) - 1, -1).astype(np.int32)
        split = np.split(moved, [len(masks[0])])
        lexicons, masks = [Lexicon.merged(lexicons, split)], [np.ones(int(living.sum()), bool)]
        places = [place for which in (0, 1) for place, lives in zip(order[which], alive[which], strict=True) if lives]
    else:
        places = [*order[0], *order[1]]
    parts = [
        Living(each, mask, int(mask.sum()), int(np.array(each.lengths, int)[mask].sum()))
        for each, mask in zip(lexicons, masks, strict=True)
    ]
    sparse, counted = scores(Holders(parts), query)
    most = sum(counted.weights(query))
    for part, (holders, gained) in zip(parts, sparse, strict=True):
        lengths = np.array(part.lexicon.lengths, np.int32)[holders]
        again = scores_of(counted, query, often(part.lexicon, query, holders), lengths)
        np.testing.assert_allclose(again, gained, rtol=1e-5)
    found = [np.zeros(len(mask)) for mask in masks]
    for into, (holders, gained) in zip(found, sparse, strict=True):
        assert (np.diff(holders) > 0).all()
        into[holders] = gained
    kept = [place for place, (_, _, lives) in enumerate(documents) if lives]
    expected = dict(zip(kept, truth([documents[place][0] for place in kept], query), strict=True))
    for place, score in zip(places, np.concatenate(found).tolist(), strict=True):
        assert score == pytest.approx(expected.get(place, 0.0), rel=1e-4, abs=1e-5)
        assert score <= most + 1e-4
