"""The order of many numbers against numpy's."""

import numpy as np
import pytest
import torch

from layerwise.regression.order import ascending

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def check(values, tolerance, device="cpu"):
    found = ascending(torch.as_tensor(values, device=device), torch.tensor(tolerance, dtype=torch.float64).to(device))
    order, ties = (one.cpu() for one in found)
    np.testing.assert_array_equal(values[order], np.sort(values))
    assert sorted(order.tolist()) == list(range(len(values)))
    np.testing.assert_array_equal(ties, np.flatnonzero(np.diff(np.sort(values)) <= tolerance))
    return ties


@pytest.mark.parametrize("tolerance", [0.0, 1e-13, 1e-3])
@pytest.mark.parametrize("n", [2, 3, 1000, 100_000])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
def test_it_equals_numpys(rng, n, tolerance, device):
    check(rng.normal(3, 2, n), tolerance, device)
    check(1 + 1e-9 * rng.normal(size=n), tolerance * 1e-9, device)


def test_values_whose_keys_are_alike_are_told_apart(rng):
    values = np.r_[0.3 + rng.permutation(300) * 5e-17, rng.uniform(0, 1, 99_000), 0.3 + 1e-16 * np.arange(9), 1e3]
    assert len(check(values, 0.0)) > 30
    check(values, 1e-16)


def test_many_that_are_the_same(rng):
    assert len(check(rng.integers(0, 4, 5000).astype(float), 0.0)) == 4996


@pytest.mark.parametrize("scale", [1e-310, 1e300])
def test_any_size_of_numbers(rng, scale):
    check(scale * rng.uniform(0, 1, 500), 0.0)
