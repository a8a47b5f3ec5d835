import numpy as np

from bench.sentences import NEIGHBOURS, extended, neighbours
from bench.vectors import unit_vectors


def test_more_vectors_lie_between_neighbours() -> None:
    real = unit_vectors(4_000, 16, 1)
    whole = extended(real, 9_000)
    assert whole.shape == (9_000, 16)
    assert np.array_equal(whole[:4_000], real)
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)
    near = (whole[4_000:] @ real.T).max(axis=1)
    assert near.mean() > (unit_vectors(1_000, 16, 9) @ real.T).max(axis=1).mean()
    assert np.array_equal(extended(real, 9_000), whole)


def test_fewer_are_the_first_ones() -> None:
    real = unit_vectors(50, 8, 1)
    assert np.array_equal(extended(real, 20), real[:20])


def test_neighbours_are_others() -> None:
    found = neighbours(unit_vectors(2_000, 16, 1))
    assert found.shape == (2_000, NEIGHBOURS)
    assert (found[:, 0] != np.arange(2_000)).mean() > 0.99
