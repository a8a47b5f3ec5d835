import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.bm25 import Counted
from retrieval.filters import parse
from retrieval.query import Candidates, Evidence, Hit, Query
from retrieval.questions import pack, pack_hits, unpack, unpack_hits

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.one_of(texts, st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.integers(-9, 9))
comparisons = st.one_of(
    st.builds(lambda key, value: {"type": "ne", "key": key, "value": value}, texts.filter(bool), values),
    st.builds(lambda key, value: {"type": "gte", "key": key, "value": value}, texts.filter(bool), texts),
    st.builds(lambda key, some: {"type": "nin", "key": key, "value": some}, texts.filter(bool), st.lists(values)),
)
filters = st.recursive(
    comparisons,
    lambda parts: st.builds(
        lambda kind, some: {"type": kind, "filters": some}, st.sampled_from(["and", "or"]), st.lists(parts, min_size=1)
    ),
    max_leaves=6,
)
vectors = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9)
shares = st.floats(0, 1)
queries = st.builds(
    lambda vector, terms, told, k, weights, threshold, mmr, candidates: Query(
        None if vector is None else np.array(vector, np.float32),
        terms, None if told is None else parse(told), k, weights, threshold, mmr, candidates,
    ),
    st.none() | vectors, st.lists(texts), st.none() | filters, st.integers(1, 50),
    st.tuples(shares, shares), shares, st.none() | shares, st.booleans(),
)  # fmt: skip


@given(st.lists(queries, max_size=3), st.integers(0, 2**63 - 1))
def test_a_question_arrives_as_it_was_asked(asked: list[Query], seq: int) -> None:
    arrived = unpack(pack("vs_1", seq, asked))
    assert (arrived.store_id, arrived.min_seq, len(arrived.queries)) == ("vs_1", seq, len(asked))
    for sent, got in zip(asked, arrived.queries, strict=True):
        assert (sent.vector is None) == (got.vector is None)
        if sent.vector is not None and got.vector is not None:
            assert got.vector.dtype == np.float32
            assert got.vector.tobytes() == sent.vector.tobytes()
        assert (list(sent.terms), sent.filter, sent.k, sent.weights) == (
            list(got.terms),
            got.filter,
            got.k,
            got.weights,
        )
        assert (sent.threshold, sent.mmr_lambda, sent.candidates) == (got.threshold, got.mmr_lambda, got.candidates)


def test_a_vector_that_is_none_arrives_as_that() -> None:
    (query,) = unpack(pack("vs_1", 0, [Query(np.array([np.nan, np.inf, 1], np.float32))])).queries
    assert query.vector is not None
    assert not np.isfinite(query.vector[:2]).any()


@given(st.lists(st.lists(st.builds(Hit, st.integers(0, 2**62), shares, shares, shares))))
def test_hits_arrive_as_they_were_found(found: list[list[Hit]]) -> None:
    arrived = unpack_hits(pack_hits(found))
    assert arrived == found
    assert not any(isinstance(each, Candidates) for each in arrived)


@given(st.integers(0, 4), st.integers(0, 3), st.booleans(), st.booleans())
def test_candidates_arrive_with_their_evidence(count: int, terms: int, worded: bool, differ: bool) -> None:
    drawn = np.random.default_rng(count)
    counted = Counted(9, 80, tuple(range(terms))) if worded else None
    nearest = drawn.normal(size=(count, 5)).astype(np.float32) if differ else None
    often = drawn.integers(0, 9, (count, terms)).astype(np.int32)
    evidence = Evidence(often, drawn.integers(0, 99, count).astype(np.int32), counted, nearest)
    sent = Candidates([Hit(number, 0.0, -0.5, 0.25) for number in range(count)], evidence)
    (got,) = unpack_hits(pack_hits([sent]))
    assert isinstance(got, Candidates)
    assert got == sent
    assert got.evidence.often.tolist() == often.tolist()
    assert got.evidence.lengths.tolist() == evidence.lengths.tolist()
    assert got.evidence.counted == counted
    assert (got.evidence.nearest is None) == (nearest is None)
    if got.evidence.nearest is not None and nearest is not None:
        assert got.evidence.nearest.tobytes() == nearest.tobytes()
