"""Shards that are merged against one collection that holds everything."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval import merging
from retrieval.collection import Collection, Entry, Hit, Query
from retrieval.filters import parse
from retrieval.index.protocol import Shape, Vectors
from retrieval.questions import pack_hits, unpack_hits
from retrieval.shards import Shard

D = 8


def vectors_of(seed: int, count: int = 1) -> Vectors:
    return np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)


class Spread:
    """The same changes in one collection and in shards."""

    def __init__(self, count: int) -> None:
        self.shards = [Shard(number, count) for number in range(count)]
        self.parts = [Collection(Shape(D)) for _ in self.shards]
        self.one = Collection(Shape(D))

    def apply(self, seq: int, added: Sequence[Entry], removed: Sequence[int] = (), described: Any = None) -> None:
        self.one.apply(seq, added, removed, described)
        for shard, part in zip(self.shards, self.parts, strict=True):
            own = [entry for entry in added if shard.holds(entry.chunk_id)]
            part.apply(seq, own, [each for each in removed if shard.holds(each)], described)

    def search(self, query: Query) -> list[Hit]:
        asked = merging.for_shards(query)
        found = [part.search(asked) for part in self.parts]
        return merging.merged(query, [unpack_hits(pack_hits([hits]))[0] for hits in found])


def told(hits: Sequence[Hit]) -> list[tuple[int, float, float, float]]:
    return [(hit.chunk_id, round(hit.fused, 4), round(hit.dense, 4), round(hit.lexical, 4)) for hit in hits]


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(2, 5),
    chunks=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 3)), max_size=60),
    removed=st.sets(st.integers(0, 60), max_size=20),
    k=st.integers(1, 20),
    threshold=st.sampled_from([0.0, 0.0, 0.3, 0.9]),
    asked=st.integers(-1, 2),
    mmr=st.sampled_from([None, 0.5]),
    seed=st.integers(0, 999),
)
def test_by_vector_shards_answer_as_one(
    count: int, chunks: Any, removed: Any, k: int, threshold: float, asked: int, mmr: float | None, seed: int
) -> None:
    spread = Spread(count)
    entries = [Entry(id_, vectors_of(drawn, n), [], f"f{id_ % 4}") for id_, (drawn, n) in enumerate(chunks)]
    spread.apply(1, entries, (), {f"f{number}": {"n": number % 3} for number in range(4)})
    spread.apply(2, [], sorted(removed))
    wanted = parse({"type": "eq", "key": "n", "value": asked}) if asked >= 0 else None
    query = Query(vectors_of(seed)[0], filter=wanted, k=k, threshold=threshold, mmr_lambda=mmr)
    found, expected = spread.search(query), spread.one.search(query)
    assert type(found) is list
    if len({drawn for drawn, _ in chunks}) == len(chunks):  # else equals may change places
        assert told(found) == told(expected)
    assert [round(hit.fused, 4) for hit in found] == [round(hit.fused, 4) for hit in expected]
    assert len(found) == len(expected) <= k


WORDS = [f"w{number}" for number in range(400)]


@pytest.fixture(scope="module")
def spread() -> Spread:
    """2,000 chunks over four shards, with words as often as words are (Zipf), of many lengths, and a tenth deleted."""
    made, chance = Spread(4), np.random.default_rng(5)
    shares = 1 / np.arange(1, len(WORDS) + 1)
    chances = shares / shares.sum()
    entries = [
        Entry(id_, vectors_of(id_), chance.choice(WORDS, 20 + id_ % 997, p=chances).tolist(), f"f{id_ % 40}")
        for id_ in range(2000)
    ]
    made.apply(1, entries, (), {f"f{number}": {"n": number % 3} for number in range(40)})
    made.apply(2, [], range(0, 2000, 10))
    return made


def queries(**more: Any) -> list[Query]:
    chance = np.random.default_rng(9)
    return [Query(vectors_of(10_000 + n)[0], chance.choice(WORDS, 3).tolist(), **more) for n in range(40)]


@pytest.mark.parametrize(
    "more",
    [
        {}, {"weights": (1.0, 3.0)}, {"mmr_lambda": 0.7},
        {"filter": parse({"type": "eq", "key": "n", "value": 1})}, {"k": 40}, {"threshold": 0.5},
    ],
    ids=["even", "words", "mmr", "filter", "many", "threshold"],
)  # fmt: skip
def test_hybrid_shards_answer_as_one(spread: Spread, more: dict[str, Any]) -> None:
    common = wanted = 0
    for query in queries(**more):
        found, expected = spread.search(query), spread.one.search(query)
        assert len(found) == len({hit.chunk_id for hit in found})
        assert all(hit.chunk_id % 10 and hit.score >= query.threshold for hit in found)
        common += len({hit.chunk_id for hit in found} & {hit.chunk_id for hit in expected})
        wanted += len(expected)
    assert common >= 0.99 * wanted > 0, common / wanted


def test_words_alone_find_the_same_chunks(spread: Spread) -> None:
    spread_hits = spread.search(Query(terms=["w399"], k=50))
    assert {hit.chunk_id for hit in spread_hits} == {
        hit.chunk_id for hit in spread.one.search(Query(terms=["w399"], k=50))
    }
    assert all(hit.dense == 0 < hit.lexical <= 1 for hit in spread_hits)


def test_a_weight_of_nothing_ranks_nothing(spread: Spread) -> None:
    query = Query(vectors_of(3)[0], ["w5"], weights=(1.0, 0.0))
    assert [hit.chunk_id for hit in spread.search(query)] == [hit.chunk_id for hit in spread.one.search(query)]


def test_shards_without_chunks_find_nothing() -> None:
    assert Spread(3).search(Query(vectors_of(1)[0], ["w1"], mmr_lambda=0.5)) == []


def test_words_are_scored_by_the_counts_of_shards_that_find_nothing_too() -> None:
    made = Spread(4)
    words = [["common", *["half"] * (id_ % 2), *["rare"] * (id_ == 7)] for id_ in range(40)]
    entries = [Entry(id_, vectors_of(id_), some, f"f{id_}") for id_, some in enumerate(words)]
    made.apply(1, entries, (), {f"f{id_}": {"n": float(id_)} for id_ in range(40)})
    seventh = parse({"type": "eq", "key": "n", "value": 7})
    asked = [
        Query(terms=["half", "rare", "common"], filter=seventh, k=3), Query(terms=["half", "absent"], filter=seventh),
        Query(vectors_of(3)[0], ["half", "rare"], filter=seventh, mmr_lambda=0.5), Query(terms=["rare"], k=1),
    ]  # fmt: skip
    for query in asked:
        assert told(made.search(query)) == told(made.one.search(query)) != []
