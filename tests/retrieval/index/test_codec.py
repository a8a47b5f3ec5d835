import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.index.codec import Codec


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), scale=st.floats(1e-4, 1e3))
def test_a_code_is_near_and_what_was_decoded_encodes_to_the_same(seed: int, scale: float) -> None:
    vectors = (np.random.default_rng(seed).normal(size=(30, 6)) * scale).astype(np.float32)
    low, high = vectors.min(axis=0), vectors.max(axis=0)
    codec = Codec.over(low, high)
    codes = codec.encode(vectors)
    assert codec.holds(low, high)
    assert (np.abs(codec.decode(codes) - vectors) <= codec.step * 0.51).all()
    np.testing.assert_array_equal(codec.encode(codec.decode(codes)), codes)
    assert not codec.holds(low - (high - low), high)
    np.testing.assert_allclose(
        codec.products(codes, vectors[0]), codec.decode(codes) @ vectors[0], rtol=1e-3, atol=1e-6
    )
