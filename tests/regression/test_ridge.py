"""Ridge regression against scikit-learn's, which refits or shrinks the activations themselves."""

import warnings

import numpy as np
import pytest
from regression_oracles import random_splits, simulate
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge, RidgeCV

from layerwise.interfaces import DegenerateWarning, Split
from layerwise.regression import ALPHAS, make_splits, ridge, score_ridge

UNITS = [20, 79, 300]  # of 80 stimuli


@pytest.fixture(autouse=True)
def no_unexpected_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def gram_of(X):
    X = X - X.mean(0)
    return X @ X.T


def sklearn_scores(X, Y, splits, model):
    r, alphas = [], []
    for split in splits:
        fit = model.fit(X[split.train], Y[split.train])
        predicted = fit.predict(X[split.test]).reshape(len(split.test), -1)
        r.append([pearsonr(one, other).statistic for one, other in zip(predicted.T, Y[split.test].T, strict=True)])
        alphas.append(getattr(fit, "alpha_", fit.get_params().get("alpha")))
    return np.array(r), np.array(alphas)


def ways(X):
    """The features that a score may be made from, with whether they are a Gram matrix."""
    return [(X, False), (gram_of(X), True)]


@pytest.mark.parametrize("neuroids", [1, 100])
@pytest.mark.parametrize("units", UNITS)
def test_leave_one_out_equals_scikit_learn(rng, units, neuroids):
    X, Y = simulate(rng, 80, units, neuroids)
    splits = random_splits(rng, 80)[:2]
    expected, chosen = sklearn_scores(X, Y, splits, RidgeCV(alphas=ALPHAS))
    for features, gram in ways(X):
        r, alphas = score_ridge(features, Y, splits, gram=gram)
        np.testing.assert_array_equal(alphas, chosen)
        np.testing.assert_allclose(r, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("alpha", [0.01, 1.0, 1e7])
@pytest.mark.parametrize("units", UNITS)
def test_a_given_alpha_equals_scikit_learn(rng, units, alpha):
    X, Y = simulate(rng, 80, units, 9)
    splits = random_splits(rng, 80)
    expected, _ = sklearn_scores(X, Y, splits, Ridge(alpha=alpha))
    for features, gram in ways(X):
        r, alphas = score_ridge(features, Y, splits, [alpha], gram)
        np.testing.assert_array_equal(alphas, alpha)
        np.testing.assert_allclose(r, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("alphas", [[1e16], [1e22], [1e30], [1e20, 1e25]])
@pytest.mark.parametrize("units", [20, 300])
def test_the_largest_alphas_leave_the_correlation_of_what_they_shrink(rng, units, alphas):
    X, Y = simulate(rng, 80, units, 9)
    Y += 1e3  # the mean is no part of what is shrunk
    splits = random_splits(rng, 80)
    # As alpha grows, slopes become products over alpha, to a share of the sum of squares over alpha: r is that of these
    assert np.sum((X - X.mean(0)) ** 2) / min(alphas) < 1e-10
    for features, gram in ways(X):
        r, _ = score_ridge(features, Y, splits, alphas, gram)
        for one, split in zip(r, splits, strict=True):
            (x, mean), y = (X[split.train], X[split.train].mean(0)), Y[split.train] - Y[split.train].mean(0)
            predicted = (X[split.test] - mean) @ ((x - mean).T @ y)
            expected = [pearsonr(*pair).statistic for pair in zip(predicted.T, Y[split.test].T, strict=True)]
            np.testing.assert_allclose(one, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("memory", [1, 2**22])
@pytest.mark.parametrize("alphas", [[3.0], ALPHAS])
def test_layers_together_are_what_each_is_alone(rng, monkeypatch, alphas, memory):
    monkeypatch.setattr(ridge, "BYTES", memory)  # of one fit and split at a time, or of many
    layers = [simulate(rng, 40, units, 1)[0] for units in (60, 90, 300)]
    Y, splits = rng.standard_normal((40, 7)), random_splits(rng, 40)
    layers[1] *= 1e9 if len(alphas) == 1 else 10
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        r, chosen = score_ridge(np.stack([gram_of(X) for X in layers]), Y, splits, alphas, gram=True)
    assert [str(one.message)[:17] for one in told] == (["in 3 of 9 splits "] * 2 if len(alphas) == 1 else [])
    for place in (0, 2) if len(alphas) == 1 else (0, 1, 2):
        expected, one = score_ridge(layers[place], Y, splits, alphas)
        np.testing.assert_array_equal(chosen[place], one)
        np.testing.assert_allclose(r[place], expected, rtol=1e-10, atol=1e-10)
    assert np.isnan(r[1]).all() == (len(alphas) == 1)


def test_the_least_leave_one_out_error_is_that_of_a_loop(rng):
    X, Y = simulate(rng, 30, 50, 4)
    split, candidates = Split(np.arange(24), np.arange(24, 30)), [0.1, 3.0, 40.0, 900.0]
    errors = []
    for alpha in candidates:
        left = [np.delete(split.train, one) for one in range(24)]
        fits = [Ridge(alpha=alpha).fit(X[rows], Y[rows]).predict(X[[one]]) for one, rows in enumerate(left)]
        errors.append(np.square(np.concatenate(fits) - Y[:24]).mean())
    for features, gram in ways(X):
        assert score_ridge(features, Y, [split], candidates, gram)[1] == candidates[int(np.argmin(errors))]


def test_what_is_left_out_may_be_more_than_what_is_trained_on_and_outweigh_it(rng):
    X, Y = simulate(rng, 80, 300, 5)
    X[:30] *= 1e4  # so that of a Gram matrix 1e-8 is rounding
    splits = [Split(np.arange(50, 80), np.arange(30)), Split(np.arange(30, 80), np.arange(30))]
    expected, _ = sklearn_scores(X, Y, splits, Ridge(alpha=100.0))
    for features, gram in ways(X):
        r, _ = score_ridge(features, Y, splits, [100.0], gram)
        np.testing.assert_allclose(r, expected, rtol=0, atol=1e-5)


def test_neuroids_that_lack_a_response_are_left_out_of_the_choice(rng):
    X, Y = simulate(rng, 80, 60, 6)
    splits = make_splits(80, 3)
    holed = Y.copy()
    holed[5, 2] = np.nan
    expected, chosen = score_ridge(X, np.delete(Y, 2, axis=1), splits)
    with pytest.warns(DegenerateWarning, match="1 of 6 neuroids lacks responses"):
        r, alphas = score_ridge(X, holed, splits)
    np.testing.assert_array_equal(alphas, chosen)
    np.testing.assert_allclose(np.delete(r, 2, axis=1), expected, rtol=1e-12)
    assert np.isnan(r[:, 2]).all()


@pytest.mark.parametrize("gram", [False, True])
def test_constant_activations_have_no_score(rng, gram):
    _, Y = simulate(rng, 40, 30, 3)
    X = np.full((40, 30), 0.3)
    with pytest.warns(DegenerateWarning, match="activations are constant"):
        r, _ = score_ridge(gram_of(X) * 0 if gram else X, Y, make_splits(40, 2), gram=gram)
    assert np.isnan(r).all()


@pytest.mark.parametrize("alphas", [[1.0], ALPHAS])
@pytest.mark.parametrize("units", UNITS)
def test_activations_that_are_constant_in_training_stimuli_alone_have_no_score_there(rng, units, alphas):
    X, Y = simulate(rng, 80, units, 3)
    splits = [Split(np.arange(60), np.arange(60, 80)), Split(np.arange(20, 75), np.r_[:20, 75:80])]
    X[:60] = 0.3
    for features, gram in ways(X):
        with pytest.warns(DegenerateWarning, match="in 1 of 2 splits the activations are constant"):
            r, _ = score_ridge(features, Y, splits, alphas, gram)
        assert np.isnan(r[0]).all() and np.isfinite(r[1]).all()


@pytest.mark.parametrize("gram", [False, True])
def test_an_alpha_below_the_rounding_of_the_activations_is_told(rng, gram):
    X, Y = simulate(rng, 40, 30, 3)
    X = X * 1e9
    with pytest.warns(DegenerateWarning) as told:
        r, alphas = score_ridge(gram_of(X) if gram else X, Y, make_splits(40, 2), [1.0], gram)
    assert "2 of 2 splits the activations vary so much that alpha, 1 at most, is lost" in str(told[0].message)
    assert np.isnan(r).all() and np.isnan(alphas).all()


@pytest.mark.parametrize("alphas", [[0.0], [1.0, -1.0], [np.nan], [np.inf], []])
def test_a_penalty_must_be_positive(rng, alphas):
    X, Y = simulate(rng, 40, 30, 3)
    with pytest.raises(ValueError, match="ridge regression needs a positive penalty"):
        score_ridge(X, Y, make_splits(40, 2), alphas)


def test_features_must_fit(rng):
    X, Y = simulate(rng, 40, 30, 3)
    splits = make_splits(40, 2)
    with pytest.raises(ValueError, match="one row and column a stimulus"):
        score_ridge(X, Y, splits, gram=True)
    X[3, 4] = np.nan
    with pytest.raises(ValueError, match="units have NaN or infinite"):
        score_ridge(X, Y, splits)
    with pytest.raises(ValueError, match="NaN or infinite"):
        score_ridge(X @ X.T, Y, splits, gram=True)
    with pytest.raises(ValueError, match="40 stimuli and the responses have 39"):
        score_ridge(X, Y[1:], splits)
    with pytest.raises(ValueError, match="responses have 3 dimensions"):
        score_ridge(X, np.stack([Y, Y]), splits)


def test_the_penalties_are_brain_scores():
    parts = [np.linspace(10.0**power, 10.0 ** (power + 1), 18, endpoint=False) for power in range(2, 6)]
    expected = [[0.01, 0.1, 0.5, 1], np.linspace(10, 100, 4, endpoint=False), *parts, np.linspace(1e6, 1e7, 19)]
    np.testing.assert_array_equal(ALPHAS, np.concatenate(expected))
    assert len(ALPHAS) == 99
