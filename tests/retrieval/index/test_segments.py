import numpy as np
import pytest

from retrieval.index import segments
from retrieval.index.choice import Plan
from retrieval.index.protocol import Segment, Vectors
from retrieval.index.segments import FlatSegment, QuantizedSegment, segment_of

ROWS, D = 2000, 25


def unit(seed: int, count: int, dimensions: int = D) -> Vectors:
    centres = np.random.default_rng(0).normal(size=(20, dimensions))
    draw = np.random.default_rng(seed)
    vectors = centres[draw.integers(0, 20, count)] + 0.6 * draw.normal(size=(count, dimensions))
    scaled: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled


VECTORS = unit(1, ROWS)


@pytest.fixture(scope="module", params=[Plan(), Plan(30, 8)], ids=["flat", "quantized"])
def segment(request: pytest.FixtureRequest) -> Segment:
    return segment_of(lambda first, end: VECTORS[first:end], ROWS, D, request.param)


def test_the_plan_says_which(segment: Segment) -> None:
    assert segment.rows == ROWS
    assert isinstance(segment, FlatSegment | QuantizedSegment)
    np.testing.assert_allclose(segment.vectors(np.array([5, 3])), VECTORS[[5, 3]], atol=0.01)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01, 0.0])
def test_only_rows_with_their_bit_are_found_and_nearly_all_that_are_near(segment: Segment, share: float) -> None:
    counts = np.random.default_rng(2).uniform(size=ROWS) < share
    bits = np.packbits(counts, bitorder="little")
    found = 0
    for query in unit(3, 20):
        rows, scores = segment.nearest(query, 10, None if share == 1 else bits)
        best = np.flatnonzero(counts)[np.argsort(-(VECTORS[counts] @ query))[:10]]
        assert len(set(rows.tolist())) == len(rows) == len(best)
        assert counts[rows].all()
        assert (np.diff(scores) <= 0).all()
        np.testing.assert_allclose(scores, VECTORS[rows] @ query, atol=0.03)
        found += len(set(rows.tolist()) & set(best.tolist()))
    assert found >= 0.95 * 20 * min(10, counts.sum())


def test_what_is_restored_answers_as_before(segment: Segment) -> None:
    again = segments.restored(D, segment.state())
    for query in unit(4, 5):
        for before, after in zip(segment.nearest(query, 7, None), again.nearest(query, 7, None), strict=True):
            np.testing.assert_array_equal(before, after)


def test_groups_are_kept_until_there_are_twice_as_many_vectors_and_find_as_well() -> None:
    def built(rows: int, former: QuantizedSegment | None) -> QuantizedSegment:
        return QuantizedSegment.built(lambda first, end: VECTORS[first:end], rows, D, Plan(30, 8), former)

    first = built(800, None)
    grown = built(1600, first)
    assert (first.learned, grown.learned, grown.rows) == (800, 800, 1600)
    assert first.rows == 800
    again = built(ROWS, first)
    assert (again.learned, again.rows) == (ROWS, ROWS)
    found = 0
    for query in unit(5, 20):
        best = np.argsort(-(VECTORS[:1600] @ query))[:10]
        found += len(set(grown.nearest(query, 10, None)[0].tolist()) & set(best.tolist()))
    assert found >= 0.95 * 20 * 10
