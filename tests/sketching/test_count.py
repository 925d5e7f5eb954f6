"""The count sketch against a loop over units, and against what theory says of its error."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kernels_here import run_check

from layerwise.sketching.count import CountSketch

CPU = torch.device("cpu")
CHECK = Path(__file__).with_name("check_kernels.py")


def sketch(values, dimensions, seed=0, name="layer"):
    hashing = CountSketch.draw(name, values.shape[1], dimensions, seed, CPU)
    rows = torch.empty(len(values), dimensions)
    hashing.reduce(torch.as_tensor(values, dtype=torch.float32), torch.zeros(dimensions), 1.0, rows)
    return hashing, rows.numpy()


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 2**31))
def test_equals_a_loop_over_units(n_units, dimensions, seed):
    values = np.random.default_rng(seed).integers(-99, 99, (3, n_units))  # whole numbers are summed without rounding
    hashing, rows = sketch(values, dimensions, seed)
    expected = np.zeros((3, dimensions))
    for unit in range(n_units):
        number = (unit + hashing.turns[unit // dimensions]) % dimensions
        expected[:, number] += int(hashing.signs[unit]) * values[:, unit]
    np.testing.assert_array_equal(rows, expected)
    assert set(hashing.signs.tolist()) <= {-1, 1}


def test_inner_products_are_kept_on_average_and_err_as_theory_says(rng):
    dimensions, draws = 50, 600
    x, y = rng.standard_normal((2, 1000)) + 0.3
    products = [float(np.prod(sketch(np.stack([x, y]), dimensions, seed)[1], axis=0).sum()) for seed in range(draws)]
    # Variance of a count sketch with independent signs: (|x|^2 |y|^2 + (x'y)^2 - 2 sum x^2 y^2) / dimensions.
    variance = ((x @ x) * (y @ y) + (x @ y) ** 2 - 2 * (x**2 * y**2).sum()) / dimensions
    assert abs(np.mean(products) - x @ y) < 5 * np.sqrt(variance / draws)
    assert np.var(products) == pytest.approx(variance, rel=0.4)


def test_the_seed_and_the_layer_decide(rng):
    values = rng.standard_normal((4, 300))
    same, again = sketch(values, 64)[1], sketch(values, 64)[1]
    np.testing.assert_array_equal(same, again)
    for other in (sketch(values, 64, seed=1)[1], sketch(values, 64, name="another")[1]):
        assert not np.allclose(same, other)


def test_all_devices_draw_the_same_whatever_was_drawn_before(device):
    expected = CountSketch.draw("layer", 1000, 64, 3, CPU)
    torch.rand(5, device=device)
    found = CountSketch.draw("layer", 1000, 64, 3, torch.device(device))
    assert found.turns == expected.turns
    assert torch.equal(found.signs.cpu(), expected.signs)
    assert torch.equal(found.offsets.cpu(), expected.offsets)


def test_the_kernel_gives_the_same():
    pytest.importorskip("triton", reason="Triton comes with PyTorch's builds for GPUs")
    run_check(CHECK)
