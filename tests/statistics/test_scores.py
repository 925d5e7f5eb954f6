import warnings

import numpy as np
import pytest
from scipy import stats

from layerwise.statistics import choose_best, draw_scores
from layerwise.statistics.clusters import draw_clusters
from layerwise.statistics.intervals import jackknife_rho
from layerwise.statistics.scores import weighted_medians, widen


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_medians_of_samples_are_numpys_on_the_repeated_values(rng, n):
    values = np.round(rng.standard_normal((3, 2, n)), 1)
    if n > 2:
        values[0, 0, 0] = values[1, 1, -1] = np.nan
    weights = draw_clusters(n, 40, seed=1)
    found = weighted_medians(values, weights)
    for sample, one in zip(found, weights, strict=True):
        repeated = np.repeat(values, one.astype(int), axis=-1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, of samples without a value
            assert np.array_equal(sample, np.nanmedian(repeated, axis=-1), equal_nan=True)


def test_scores_and_ceilings_are_of_the_same_neuroids(rng):
    scores, ceilings = rng.random((4, 3, 9)), rng.random((5, 9)) + 0.5
    drawn, weights = draw_scores(scores, ceilings, draws=30, seed=2), draw_clusters(9, 30, seed=2)
    for number, one in enumerate(weights.astype(int)):
        raw = np.median(np.repeat(scores, one, axis=-1), axis=-1).mean(axis=-1)
        ceiling = np.median(np.repeat(ceilings, one, axis=-1), axis=-1).mean()
        assert drawn.raw[number] == pytest.approx(raw) and drawn.ceiling[number] == pytest.approx(ceiling)
        assert drawn.ceiled_2020[number] == pytest.approx((raw / ceiling) ** 2)
        assert drawn.ceiled_2026[number] == pytest.approx(raw**2 / ceiling)
    low, high = drawn.interval("2020", 0.9)
    assert np.allclose([low, high], np.quantile(drawn.ceiled_2020, [0.05, 0.95], axis=0))


def test_the_interval_of_a_median_holds_it(rng):
    """Of a Gaussian sample of 200, whose median is 0: nominal 95 %."""
    held = 0
    for seed in range(200):
        low, high = draw_scores(rng.standard_normal((1, 1, 200)), np.ones((1, 200)), 200, seed).interval()[:, 0]
        held += low <= 0 <= high
    assert 0.9 <= held / 200 <= 0.99


def test_a_layer_without_scores_and_a_ceiling_below_0_are_nan(rng):
    scores = rng.random((2, 2, 6))
    scores[0] = np.nan
    drawn = draw_scores(scores, -np.ones((3, 6)), draws=20)
    assert np.isnan(drawn.raw[:, 0]).all() and np.isfinite(drawn.raw[:, 1]).all()
    assert np.isnan(drawn.ceiled_2020).all() and np.isnan(drawn.interval()[:, 0]).all()


def test_errors_of_networks_and_neuroids_add_up_in_squares(rng):
    bounds = jackknife_rho(0.5, np.array([0.4, 0.5, 0.6]), np.full(3, 9), 0.95)
    drawn = np.tanh(np.arctanh(0.5) + 0.2 * rng.standard_normal(4000))
    quantile = stats.t.ppf(0.975, 2)
    wide = widen(0.5, bounds, drawn, 0.95)
    half = quantile * np.hypot(bounds.error, 0.2)
    assert wide.error == pytest.approx(0.2, abs=0.01)
    assert (wide.low, wide.high) == pytest.approx(tuple(np.tanh(np.arctanh(0.5) + np.array([-half, half]))), abs=0.02)
    same = widen(0.5, bounds, np.full(5, 0.5), 0.95)
    assert (same.low, same.high) == pytest.approx((bounds.low, bounds.high))


def test_the_nested_value_is_that_of_a_loop(rng):
    scores = rng.standard_normal((12, 5))
    best = choose_best(scores)
    chosen = [np.delete(scores, split, axis=1).mean(axis=1).argmax() for split in range(5)]
    assert best.layer == scores.mean(axis=1).argmax() and best.value == pytest.approx(scores.mean(axis=1).max())
    assert best.nested == pytest.approx(np.mean([scores[layer, split] for split, layer in enumerate(chosen)]))
    assert best.same == pytest.approx(np.mean(np.array(chosen) == best.layer))


def test_of_noise_the_nested_value_is_0_and_the_best_is_not(rng):
    found = [choose_best(rng.standard_normal((50, 5))) for _ in range(300)]
    assert np.mean([one.nested for one in found]) == pytest.approx(0, abs=0.1)
    assert np.mean([one.value for one in found]) > 0.8


def test_layers_without_all_splits_cannot_be_the_best(rng):
    scores = rng.random((4, 3))
    scores[1, 2], scores[1, :2] = np.nan, 9.0
    assert choose_best(scores).layer != 1
    assert choose_best(np.full((2, 3), np.nan)) is None
    single = choose_best(rng.random((4, 1)))
    assert np.isnan(single.nested) and np.isfinite(single.value)
