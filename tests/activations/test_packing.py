import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from layerwise.activations.packing import packed_size, unpack


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_symmetric_matrices_come_back(n, seed):
    half = np.random.default_rng(seed).normal(size=(n, n))
    matrix = half + half.T
    packed = matrix[np.triu_indices(n)]
    assert packed.shape == (packed_size(n),)
    assert unpack(packed, n).numpy().dtype == np.float64
    np.testing.assert_array_equal(unpack(packed, n).numpy(), matrix)
