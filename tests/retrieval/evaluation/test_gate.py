"""The reranker that ships must be worth its time: on the set, search with it is not below search without it."""

from typing import Any

import pytest

from bench.retrieval import EMBEDDER, RERANKER
from retrieval.evaluation import rankings
from retrieval.evaluation.corpus import questions
from serving.evaluation import Asked, evaluated

DOCUMENTS, RERANKED = 28, 15
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Half of the set, in chunks that do not overlap: a minute instead of many."""
    said: list[tuple[str, int, int]] = []
    asked = Asked(EMBEDDER.model_dump_json(), RERANKER.model_dump_json(), 256, 0, DOCUMENTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rankings, "RERANKED", RERANKED)
        made = evaluated(asked, lambda *done: said.append(done))
    assert {what for what, *_ in said} > {"loading models", "reading and embedding documents"}
    return made


def test_reranking_beats_none(found: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in found["rankers"]}
    assert rows[rankings.RERANKED_HYBRID]["ndcg@10"] > rows[rankings.HYBRID]["ndcg@10"]
    assert rows[rankings.RERANKED_HYBRID]["mrr"] >= rows[rankings.HYBRID]["mrr"]


def test_hybrid_finds_what_either_finds(found: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in found["rankers"]}
    assert rows[rankings.HYBRID]["recall@10"] >= min(
        rows[rankings.LEXICAL]["recall@10"], rows[rankings.DENSE]["recall@10"]
    )
    assert rows[rankings.HYBRID]["ndcg@10"] > rows[rankings.LEXICAL]["ndcg@10"]


def test_every_question_is_told(found: dict[str, Any]) -> None:
    assert DOCUMENTS <= found["answerable"] == len(found["questions"]) < len(questions())
    for row in found["rankers"]:
        within = row["answered_within"]
        assert within == sorted(within)
        assert 0 < within[-1] <= 1 + 1e-9
