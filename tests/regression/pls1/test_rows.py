"""The regression on rows in memory against scikit-learn, least squares, and the regression of the brain part."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cross_decomposition import PLSRegression
from torch.utils._python_dispatch import TorchDispatchMode

from layerwise.interfaces import Split
from layerwise.regression import predict_neuroids
from layerwise.regression.pls1.rows import is_finite, predict_rows
from layerwise.regression.pls1.targets import Targets

SECOND_OF_NOTHING = [77, 261, 296, 557]
TOLERANCE = {torch.float64: 1e-8, torch.float32: 5e-4}  # standard deviations


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


def splits_of(rng, n_images, n_splits=5):
    orders = [rng.permutation(n_images) for _ in range(n_splits)]
    return [Split(np.sort(order[: n_images * 3 // 5]), np.sort(order[n_images * 3 // 5 : -9])) for order in orders]


def layer_of(rng, n_images, units):
    """Rows with a steep spectrum and a large mean, and a target that depends on them; different in each split."""
    latent = rng.standard_normal((n_images, units)) * np.linspace(1, 0.1, units)
    mixing = np.linalg.qr(rng.standard_normal((units, units)))[0]
    scores = latent @ rng.standard_normal(units) + rng.standard_normal((5, n_images)) + 7
    return latent @ mixing + 3 * rng.standard_normal(units), scores


def regress(values, scores, splits, n_components, dtype=torch.float32, device="cpu"):
    """Give predictions [image, split]; the rows are left as they are."""
    targets = Targets.of(scores, splits, len(values), torch.device(device))
    predictions, lost, _ = predict_rows(torch.tensor(values, dtype=dtype, device=device), targets, n_components)
    assert not lost or predictions.isnan().all()
    return predictions.cpu().numpy()


def check(found, expected, splits, tolerance):
    assert found.dtype == np.float64
    for index, (split, part) in enumerate(zip(splits, expected, strict=True)):
        assert np.abs(found[split.test, index] - part).max() < tolerance * part.std()


@pytest.mark.parametrize(("n_images", "units"), [(600, 25), (600, 40), (640, 60), (500, 130), (150, 400)])
def test_equals_scikit_learn_and_the_regression_of_the_brain_part(rng, dtype, device, n_images, units):
    values, scores = layer_of(rng, n_images, units)
    values, splits = torch.tensor(values, dtype=dtype).double().numpy(), splits_of(rng, n_images)
    found = regress(values, scores, splits, 25, dtype, device)
    fits = [
        PLSRegression(25, scale=False).fit(values[s.train], row[s.train]) for s, row in zip(splits, scores, strict=True)
    ]
    check(
        found,
        [fit.predict(values[s.test]).ravel() for s, fit in zip(splits, fits, strict=True)],
        splits,
        TOLERANCE[dtype],
    )
    if 25 < units < n_images:  # that regression leaves out a last component, and in Gram matrices has fewer digits
        parts = predict_neuroids(values, scores[:, :, None], splits, 25)
        check(found, [part[:, 0] for part in parts], splits, TOLERANCE[dtype])


def test_rows_of_rank_one_give_least_squares(dtype):
    """In seeds where rounding passed for a second component, until its scores were held against the first's."""
    for seed in SECOND_OF_NOTHING:
        test_rows_of_low_rank_give_least_squares(np.random.default_rng(seed), dtype, "cpu", 1)


@pytest.mark.parametrize("rank", [1, 2, 7, 24])
def test_rows_of_low_rank_give_least_squares(rng, dtype, device, rank):
    n_images, units = 300, 70
    latent = rng.integers(-9, 10, (n_images, rank))  # whole numbers: the rank is the same in both types
    values = latent @ rng.integers(-9, 10, (rank, units)) + rng.integers(-99, 99, units)
    scores, splits = latent @ rng.standard_normal(rank) + rng.standard_normal((5, n_images)), splits_of(rng, n_images)
    found = regress(values, scores, splits, 25, dtype, device)
    design = np.column_stack([latent, np.ones(n_images)])
    fits = [np.linalg.lstsq(design[s.train], row[s.train])[0] for s, row in zip(splits, scores, strict=True)]
    check(found, [design[s.test] @ fit for s, fit in zip(splits, fits, strict=True)], splits, TOLERANCE[dtype])


@pytest.mark.parametrize("rank", [1, 4, 8, 20])
@pytest.mark.parametrize("offset", [1, 100])
def test_what_a_network_rounded_is_no_component(rng, dtype, rank, offset):
    """As behind a squeeze of few units: in either type, rows of float32 have no rank beyond that of their network."""
    n_images, units = 600, 60
    latent = rng.standard_normal((n_images, rank))
    values = latent @ rng.standard_normal((rank, units)) + offset * rng.standard_normal(units)
    scores, splits = latent @ rng.standard_normal(rank) + rng.standard_normal((5, n_images)), splits_of(rng, n_images)
    found = regress(values.astype(np.float32), scores, splits, 25, dtype)
    design = np.column_stack([latent, np.ones(n_images)])
    fits = [np.linalg.lstsq(design[s.train], row[s.train])[0] for s, row in zip(splits, scores, strict=True)]
    check(found, [design[s.test] @ fit for s, fit in zip(splits, fits, strict=True)], splits, TOLERANCE[torch.float32])


@pytest.mark.parametrize("count", [1, 3, 40, 119])
@pytest.mark.parametrize("factor", [10, 50, 300, 1e3, 1e4, 1e5, 1e6, 1e7])
def test_numbers_that_outweigh_all_others(rng, factor, count):
    """What rounding spoils is NaN, never a result; in float64 that begins late."""
    values, scores = layer_of(rng, 600, 120)
    values -= values.mean(0)
    splits = splits_of(rng, 600)
    values[:, :count] *= factor / values[:, :count].std(0)
    values = torch.tensor(values, dtype=torch.float32).double().numpy()
    fits = [
        PLSRegression(25, scale=False).fit(values[s.train], row[s.train]) for s, row in zip(splits, scores, strict=True)
    ]
    parts = [fit.predict(values[s.test]).ravel() for s, fit in zip(splits, fits, strict=True)]
    for dtype, surely in ((torch.float64, 1e5), (torch.float32, 10)):
        found = regress(values, scores, splits, 25, dtype)
        if factor <= surely or not np.isnan(found).all():
            check(found, parts, splits, 1e-3)
    if 1e4 <= factor <= 1e5 and count < 40:
        assert np.isnan(found).all()


def test_equal_units_and_units_that_never_vary(rng, dtype):
    values, scores = layer_of(rng, 400, 50)
    values = np.concatenate([values, values[:, :20], np.full((400, 10), 0.1)], axis=1)
    values, splits = torch.tensor(values, dtype=dtype).double().numpy(), splits_of(rng, 400)
    parts = predict_neuroids(values, scores[:, :, None], splits, 10)
    check(regress(values, scores, splits, 10, dtype), [part[:, 0] for part in parts], splits, TOLERANCE[dtype])


@pytest.mark.parametrize("size", [1e-150, 1e-40, 1e25, 1e60])
def test_the_size_of_scores_does_not_matter(rng, dtype, size):
    values, scores = layer_of(rng, 300, 30)
    splits = splits_of(rng, 300)
    expected = regress(values, scores, splits, 8, dtype)
    found = regress(values, scores * size, splits, 8, dtype) / size
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * expected.std())


def test_few_images(rng, dtype):
    """Fewer than are summed at once on a GPU."""
    values, scores = layer_of(rng, 31, 12)
    splits = splits_of(rng, 31)
    parts = predict_neuroids(torch.tensor(values, dtype=dtype), scores[:, :, None], splits, 4)
    check(regress(values, scores, splits, 4, dtype), [part[:, 0] for part in parts], splits, TOLERANCE[dtype])


def test_constant_rows_give_the_training_mean_and_a_split_of_its_own_too(rng, dtype):
    splits = splits_of(rng, 100)
    values, scores = layer_of(rng, 100, 30)
    same = regress(np.tile(values[:1], (100, 1)), scores, splits, 10, dtype)
    values[splits[2].train] = values[0]
    part = regress(values, scores, splits, 10, dtype)
    for index, split in enumerate(splits):
        mean = scores[index, split.train].mean()
        np.testing.assert_allclose(same[:, index], mean, rtol=1e-12)
        assert np.allclose(part[:, index], mean, rtol=1e-12, atol=0) == (index == 2)


def test_two_runs_are_the_same_bit_by_bit(rng, device):
    values, scores = layer_of(rng, 700, 150)
    arguments = values, scores, splits_of(rng, 700), 25, torch.float32, device
    np.testing.assert_array_equal(regress(*arguments), regress(*arguments))


@given(st.integers(0, 2**31), st.sampled_from([2.0**-20, 2.0**15]))
def test_scale_shift_and_the_scores_of_others_do_not_matter(seed, scale):
    rng = np.random.default_rng(seed)
    values, scores = layer_of(rng, 90, 20)
    splits = splits_of(rng, 90)
    plain = regress(values, scores, splits, 8, torch.float64)
    others = scores.copy()
    for row, split in zip(others, splits, strict=True):
        row[np.setdiff1d(np.arange(90), split.train)] = np.nan
    moved = regress(scale * (values + rng.standard_normal(20)), others, splits, 8, torch.float64)
    np.testing.assert_allclose(moved, plain, rtol=0, atol=1e-8 * plain.std())


class Largest(TorchDispatchMode):
    """Notes the largest tensor that an operation gives, but for the one that is changed in place."""

    def __init__(self, given):
        super().__init__()
        self.given, self.numbers = given.untyped_storage().data_ptr(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() != self.given:
                self.numbers = max(self.numbers, tensor.numel())
        return out


def test_nothing_as_large_as_the_rows_is_made_of_them(rng):
    values, scores = layer_of(rng, 5000, 300)
    targets = Targets.of(scores, splits_of(rng, 5000), 5000, torch.device("cpu"))
    rows = torch.tensor(values, dtype=torch.float32)
    with Largest(rows) as largest:
        predict_rows(rows, targets, 25)
    assert 0 < largest.numbers < rows.numel() / 10


@given(st.integers(0, 199), st.integers(0, 6), st.sampled_from([np.nan, np.inf, -np.inf, 65504.0]), st.booleans())
def test_one_value_that_is_not_finite_is_seen(row, number, value, half):
    values = torch.randn(200, 7, dtype=torch.float16 if half else torch.float32)
    values[row, number] = value
    assert is_finite(values) == np.isfinite(value)


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, "sums that overflow"])
def test_nothing_is_predicted_from_values_that_are_not_finite(rng, spoilt):
    values, scores = layer_of(rng, 100, 30)
    splits = splits_of(rng, 100)
    if isinstance(spoilt, float):
        unused = np.setdiff1d(np.arange(100), np.concatenate([splits[0].train, splits[0].test]))  # by the first split
        values[unused[0], 4] = spoilt
    else:
        values *= 1e37
    assert np.isnan(regress(values, scores, splits, 5)).all()
