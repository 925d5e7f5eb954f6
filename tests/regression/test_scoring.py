import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from regression_oracles import converged, loop_predictions, plain_r, random_splits, simulate
from sklearn.cross_decomposition import PLSRegression

from layerwise.interfaces import DegenerateWarning, Split
from layerwise.regression import dual as dual_module
from layerwise.regression import (
    eigen,
    make_splits,
    pearson,
    predict_gram,
    predict_neuroids,
    score_gram,
    score_neuroids,
)

UNITS = [40, 150]  # one layer smaller than the 80 stimuli, one larger
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def gram_of(X):
    X = X - X.mean(0)
    return X @ X.T


@pytest.fixture(autouse=True)
def no_unexpected_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("neuroids", [1, 3, 30, 100])
@pytest.mark.parametrize("units", [*UNITS, 20])
def test_all_splits_at_once_equal_a_plain_loop(rng, units, neuroids):
    X, Y = simulate(rng, 80, units, neuroids)
    splits = random_splits(rng, 80)
    expected = loop_predictions(X, Y, splits, 8)
    for found in (predict_neuroids(X, Y, splits, 8), predict_gram(gram_of(X), Y, splits, 8)):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-7)
    expected_r = plain_r(expected, Y, splits)
    np.testing.assert_allclose(score_neuroids(X, Y, splits, 8), expected_r, rtol=0, atol=1e-7)


@pytest.mark.parametrize("units", [30, 60, 110])
def test_primal_equals_dual(rng, units):
    X, Y = simulate(rng, 120, units, 20)
    splits = make_splits(120)
    np.testing.assert_allclose(score_gram(gram_of(X), Y, splits), score_neuroids(X, Y, splits), rtol=0, atol=1e-8)


@pytest.mark.parametrize("units", UNITS)
def test_small_training_parts_are_computed_directly(rng, units):
    X, Y = simulate(rng, 80, units, 5)
    splits = random_splits(rng, 80, n_train=20)
    expected = loop_predictions(X, Y, splits, 6)
    for one, other in zip(predict_neuroids(X, Y, splits, 6), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-7)


@pytest.mark.parametrize("neuroids", [1, 4])
@pytest.mark.parametrize("units", UNITS)
def test_targets_may_differ_between_splits(rng, units, neuroids):
    X, Y = simulate(rng, 80, units, neuroids)
    splits = random_splits(rng, 80)
    targets = Y + rng.standard_normal((len(splits), *Y.shape))
    expected = [score_neuroids(X, y, [split], 6)[0] for y, split in zip(targets, splits, strict=True)]
    np.testing.assert_allclose(score_neuroids(X, targets, splits, 6), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(score_gram(gram_of(X), targets, splits, 6), expected, rtol=0, atol=1e-8)
    outside = targets.copy()
    partial = [Split(split.train[3:], split.test) for split in splits]
    for y, split in zip(outside, splits, strict=True):
        y[split.train[:3]] = np.nan
    assert np.isfinite(score_neuroids(X, outside, partial, 6)).all()


def test_one_target_equals_scikit_learn(rng):
    X, Y = simulate(rng, 80, 60, 1)
    splits = random_splits(rng, 80)
    models = [PLSRegression(10, scale=False).fit(X[split.train], Y[split.train, 0]) for split in splits]
    expected = [model.predict(X[split.test]).reshape(-1, 1) for model, split in zip(models, splits, strict=True)]
    for one, other in zip(predict_neuroids(X, Y, splits, 10), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)


@pytest.mark.parametrize("units", UNITS)
def test_scikit_learn_mode_equals_scikit_learn(rng, units):
    X, Y = simulate(rng, 80, units, 9)
    splits = random_splits(rng, 80)
    parts = [(split.train, split.test) for split in splits]
    expected = [PLSRegression(10, scale=False).fit(X[a], Y[a]).predict(X[b]) for a, b in parts]
    found = score_neuroids(X, Y, splits, 10, solver="scikit-learn")
    np.testing.assert_allclose(found, plain_r(expected, Y, splits), rtol=0, atol=1e-12)


def test_the_gram_matrix_is_summed_in_slices(rng, monkeypatch):
    X, Y = simulate(rng, 50, 203, 4)
    splits = random_splits(rng, 50)
    whole = score_neuroids(X, Y, splits, 6)
    monkeypatch.setattr(dual_module, "SLICE_BYTES", 50 * 8 * 17)
    np.testing.assert_allclose(score_neuroids(X, Y, splits, 6), whole, rtol=0, atol=1e-10)


def test_near_equal_leading_eigenvalues(rng):
    X = np.linalg.qr(rng.standard_normal((90, 60)))[0]
    X = np.linalg.qr(X - X.mean(0))[0]
    Y = X[:, :40] * (1 + 1e-4 * np.arange(40)) + 1e-3 * rng.standard_normal((90, 40))
    splits = [Split(np.arange(90)[:80], np.arange(80, 90))]
    expected = loop_predictions(X, Y, splits, 5)[0]
    np.testing.assert_allclose(predict_neuroids(X, Y, splits, 5)[0], expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(predict_gram(gram_of(X), Y, splits, 5)[0], expected, rtol=0, atol=1e-7)


# Properties: what PLS cannot see.


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), units=st.sampled_from(UNITS), neuroids=st.sampled_from([1, 6, 25]))
def test_order_scale_rotation_and_offset_of_units_do_not_matter(seed, units, neuroids):
    rng = np.random.default_rng(seed)
    X, Y = simulate(rng, 60, units, neuroids)
    splits = random_splits(rng, 60)
    r = score_neuroids(X, Y, splits, 6)
    rotation = np.linalg.qr(rng.standard_normal((units, units)))[0]
    offset = 10 * rng.standard_normal(units)
    for changed in (X[:, rng.permutation(units)], X * 1e-3, X * 1e5, -X, X @ rotation, X + offset):
        np.testing.assert_allclose(score_neuroids(changed, Y, splits, 6), r, rtol=0, atol=1e-7)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), units=st.sampled_from(UNITS))
def test_order_of_stimuli_and_of_neuroids_and_units_of_responses_do_not_matter(seed, units):
    rng = np.random.default_rng(seed)
    X, Y = simulate(rng, 60, units, 7)
    splits = random_splits(rng, 60)
    r = score_neuroids(X, Y, splits, 6)
    order, neuroids = rng.permutation(60), rng.permutation(7)
    place = np.argsort(order)
    moved = [Split(place[split.train], place[split.test]) for split in splits]
    np.testing.assert_allclose(score_neuroids(X[order], Y[order], moved, 6), r, rtol=0, atol=1e-7)
    np.testing.assert_allclose(score_neuroids(X, Y[:, neuroids], splits, 6), r[:, neuroids], rtol=0, atol=1e-7)
    np.testing.assert_allclose(score_neuroids(X, 7 * Y - 3, splits, 6), r, rtol=0, atol=1e-7)


# Leakage: nothing of the test stimuli's responses reaches the prediction.


@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
@pytest.mark.parametrize("units", UNITS)
def test_responses_to_test_stimuli_never_matter(rng, units, solver):
    X, Y = simulate(rng, 80, units, 5)
    splits = random_splits(rng, 80, n_splits=2)
    before = predict_neuroids(X, Y, splits, 8, solver=solver)
    for index, split in enumerate(splits):
        changed = Y.copy()
        changed[split.test] = 100 * rng.standard_normal((len(split.test), 5))
        after = predict_neuroids(X, changed, splits, 8, solver=solver)
        np.testing.assert_allclose(after[index], before[index], rtol=0, atol=1e-8)


@pytest.mark.parametrize("units", UNITS)
def test_shuffled_responses_cannot_be_predicted(rng, units):
    X, Y = simulate(rng, 200, units, 20)
    splits = make_splits(200, train_size=0.5)
    shuffled = rng.permuted(Y, axis=0)
    mean = np.nanmean(score_neuroids(X, shuffled, splits, 8))
    # 20 independent neuroids, each with r of standard deviation .1 in 100 test stimuli; the splits overlap,
    # so that they are not counted as further evidence. Five standard errors.
    assert abs(mean) < 5 * 0.1 / np.sqrt(20)


# Degenerate data.


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
def test_a_constant_layer_is_nan_for_all(rng, units, solver):
    Y = rng.standard_normal((80, 4))
    with pytest.warns(DegenerateWarning, match="3 of 3 splits") as caught:
        r = score_neuroids(np.full((80, units), 0.1), Y, random_splits(rng, 80), 5, solver=solver)
    assert len(caught) == 1
    assert r.shape == (3, 4) and np.isnan(r).all()


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("value", [0.0, 0.1, 3.7e5])
def test_a_layer_constant_in_one_training_part_is_nan_there(rng, units, value):
    X, Y = simulate(rng, 80, units, 4)
    splits = random_splits(rng, 80)
    X[splits[1].train] = value
    with pytest.warns(DegenerateWarning, match="1 of 3 splits"):
        r = score_neuroids(X, Y, splits, 3)
    assert np.isnan(r[1]).all() and np.isfinite(r[[0, 2]]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gram_matrix_of_a_constant_layer_is_nan(rng, dtype):
    gram = np.full((80, 80), 1e-12, dtype)
    with pytest.warns(DegenerateWarning, match="3 of 3 splits"):
        assert np.isnan(score_gram(gram, rng.standard_normal((80, 4)), random_splits(rng, 80), 5)).all()


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
def test_a_constant_neuroid_is_nan_and_the_others_are_not(rng, part, solver):
    X, Y = simulate(rng, 80, 40, 4)
    splits = random_splits(rng, 80)
    Y[getattr(splits[0], part), 2] = 0.1
    with pytest.warns(DegenerateWarning, match="1 of 4 neuroids is constant .* 1 of 3 splits") as caught:
        r = score_neuroids(X, Y, splits, 5, solver=solver)
    assert len(caught) == 1
    assert np.isnan(r[0, 2]) and np.isnan(r).sum() == 1


@pytest.mark.parametrize("units", UNITS)
def test_neuroids_without_all_responses_are_left_out_of_the_joint_fit(rng, units):
    X, Y = simulate(rng, 80, units, 6)
    splits = random_splits(rng, 80)
    Y[3, 1] = np.nan
    Y[5, 4] = np.nan
    kept = [0, 2, 3, 5]
    expected = score_neuroids(X, Y[:, kept], splits, 5)
    with pytest.warns(DegenerateWarning, match="2 of 6 neuroids lack") as caught:
        r = score_neuroids(X, Y, splits, 5)
    assert len(caught) == 1
    np.testing.assert_allclose(r[:, kept], expected, rtol=0, atol=1e-9)
    assert np.isnan(r[:, [1, 4]]).all()
    with pytest.warns(DegenerateWarning, match="2 of 6"):
        predictions = predict_neuroids(X, Y, splits, 5)
    assert np.isnan(predictions[0][:, 1]).all() and np.isfinite(predictions[0][:, kept]).all()


@pytest.mark.parametrize("neuroids", [1, 6])
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("factor", [3e6, 1e7, 3e7])
def test_one_unit_that_outweighs_all_others_hides_none_of_them(rng, units, neuroids, factor):
    X, Y = simulate(rng, 80, units, neuroids)
    X[:, 3] *= factor
    splits = random_splits(rng, 80)
    for found, expected in zip(predict_neuroids(X, Y, splits, 20), converged(X, Y, splits, 20), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * expected.std())


@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
@pytest.mark.parametrize("neuroids", [1, 6])
def test_what_a_gram_matrix_cannot_hold_is_said(rng, neuroids, solver):
    """Its entries are squares: beside a unit 1e7 times as large as the others, all of these are rounding."""
    X, Y = simulate(rng, 80, 150, neuroids)
    X[:, 3] *= 1e7
    splits = random_splits(rng, 80)
    with pytest.warns(DegenerateWarning, match="in 6 of 6 splits PLS found fewer than 20 .* 1e5 times") as caught:
        score_gram(np.stack([gram_of(X)] * 2), Y, splits, 20, solver=solver)
    assert len(caught) == 1
    with pytest.warns(DegenerateWarning, match="in 3 of 3 splits PLS found fewer than 20"):
        predict_gram(gram_of(X), Y, splits, 20, solver=solver)


def test_a_gram_matrix_in_float32_is_not_fitted_beyond_its_rounding(rng):
    """What is found agrees with float64; the rest is left alone, and said."""
    X, Y = simulate(rng, 80, 150, 4)
    splits, gram = random_splits(rng, 80), gram_of(X * 0.5 ** np.arange(150))
    with pytest.warns(DegenerateWarning, match=r"in 3 of 3 splits PLS found fewer than 20 components \(at least"):
        predict_gram(gram.astype(np.float32), Y, splits, 20)


@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
@pytest.mark.parametrize("exponents", [(0, -25), (0, 25), (-25, 0), (25, 0), (-140, 150), (-140, -300), (140, 300)])
def test_the_size_of_activations_and_responses_does_not_matter(rng, solver, exponents):
    """Correlations are the same in any unit of measurement."""
    (X, Y), (x, y) = simulate(rng, 80, 100, 5), (10.0**exponent for exponent in exponents)
    splits, allowed = random_splits(rng, 80), 1e-7 if solver == "exact" else 1e-3
    for units in (X, X[:, :40]):
        expected = score_neuroids(units, Y, splits, 8, solver=solver)
        found = score_neuroids(units * x, Y * y, splits, 8, solver=solver)
        np.testing.assert_allclose(found, expected, rtol=0, atol=allowed)
        found = score_gram(gram_of(units * x), Y * y, splits, 8, solver=solver)
        np.testing.assert_allclose(found, expected, rtol=0, atol=allowed)


def test_a_neuroid_that_scikit_learn_takes_for_constant_is_told(rng):
    X, Y = simulate(rng, 80, 40, 4)
    Y[:, 2] *= 1e-25
    splits = random_splits(rng, 80)
    with pytest.warns(DegenerateWarning, match="of 1 of 4 neuroids, predictions are the same .* in 3 of 12 cases"):
        r = score_neuroids(X, Y, splits, 5, solver="scikit-learn")
    assert np.isnan(r[:, 2]).all() and np.isnan(r).sum() == 3
    assert np.isfinite(score_neuroids(X, Y, splits, 5)).all()


def test_repeated_stimuli_are_no_trouble(rng):
    X, Y = simulate(rng, 40, 30, 3)
    X, Y = np.repeat(X, 2, axis=0), np.repeat(Y, 2, axis=0)
    assert np.isfinite(score_neuroids(X, Y, random_splits(rng, 80), 25)).all()
    assert np.isfinite(score_gram(gram_of(X), Y, random_splits(rng, 80), 25)).all()


@pytest.mark.parametrize("units", UNITS)
def test_splits_run_out_of_rank_one_by_one(rng, units):
    X = rng.standard_normal((80, 12)) @ rng.standard_normal((12, units))
    Y = rng.standard_normal((80, 4))
    splits = random_splits(rng, 80)
    X[splits[0].train] = X[splits[0].train[:4]][rng.integers(0, 4, len(splits[0].train))]
    with pytest.warns(DegenerateWarning, match=r"in 3 of 3 splits PLS found fewer than 20 components \(at least 3\)"):
        predictions = predict_neuroids(X, Y, splits, 20)
    for index, prediction in enumerate(predictions):
        train, test = splits[index].train, splits[index].test
        mean = X[train].mean(0)
        slopes = np.linalg.lstsq(X[train] - mean, Y[train] - Y[train].mean(0), rcond=1e-10)[0]
        np.testing.assert_allclose(prediction - Y[train].mean(0), (X[test] - mean) @ slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, Y, s: (X[:, :10], Y, s), "10 units.*25 components"),
        (lambda X, Y, s: (X, Y, [Split(s[0].train[:20], s[0].test)]), "20 training stimuli.*25 components"),
        (lambda X, Y, s: (np.where(np.arange(40) == 3, np.nan, X), Y, s), "1 of 40 units have NaN"),
        (lambda X, Y, s: (np.where(np.arange(40) == 3, -np.inf, X), Y, s), "1 of 40 units have NaN"),
        (lambda X, Y, s: (X, Y[:70], s), "80 stimuli and the responses have 70"),
        (lambda X, Y, s: (X, Y[:, 0], s), "1 dimensions"),
        (lambda X, Y, s: (X, np.stack([Y, Y]), s), "2 splits were given for 3 splits"),
        (lambda X, Y, s: (X, Y, []), "no splits"),
        (lambda X, Y, s: (X, Y, [Split(s[0].train, s[0].train[:5])]), "uses a stimulus twice"),
        (lambda X, Y, s: (X, Y, [Split(s[0].train, s[0].test + 40)]), "80 stimuli"),
        (lambda X, Y, s: (X, Y, [Split(s[0].train, s[0].test[:0])]), "0 test stimuli"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_plain_words(rng, change, message):
    with pytest.raises(ValueError, match=message):
        score_neuroids(*change(*simulate(rng, 80, 40, 3), random_splits(rng, 80)))


def test_a_gram_matrix_that_is_none_is_refused(rng):
    X, Y = simulate(rng, 80, 40, 3)
    splits = random_splits(rng, 80)
    with pytest.raises(ValueError, match=r"\(80, 40\)"):
        score_gram(X, Y, splits)
    with pytest.raises(ValueError, match="NaN or infinite"):
        score_gram(np.where(np.eye(80) > 0, np.nan, gram_of(X)), Y, splits)


def test_pearson_equals_numpy_and_is_nan_for_constants(rng):
    x, y = rng.standard_normal((2, 30, 4))
    x[:, 1], y[:, 2] = 0.1, 1e6
    y[4, 3] = np.nan
    r = pearson(x, y)
    assert r[0] == pytest.approx(np.corrcoef(x[:, 0], y[:, 0])[0, 1], abs=1e-14)
    assert np.isnan(r[1:]).all()
    np.testing.assert_allclose(pearson(1e-200 * x[:, :1], 1e200 * y[:, :1]), r[:1], atol=1e-12)
    with pytest.raises(ValueError, match="shape"):
        pearson(x, y[1:])


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
@pytest.mark.parametrize("own", [False, True])
def test_layers_scored_together_equal_each_alone(rng, own, solver, device):
    X, Y = simulate(rng, 80, 150, 12)
    splits = random_splits(rng, 80)
    targets = np.stack([Y + rng.standard_normal(Y.shape) for _ in splits]) if own else Y
    layers = [X, rng.standard_normal((80, 90)) * 1e4, X[:, :40] @ rng.standard_normal((40, 100))]
    grams = np.stack([gram_of(layer) for layer in layers])
    found = score_gram(grams, targets, splits, 8, solver, device)
    assert found.shape == (3, len(splits), 12)
    for one, gram in zip(found, grams, strict=True):
        np.testing.assert_allclose(one, score_gram(gram, targets, splits, 8, solver), rtol=0, atol=1e-8)
    for index, part in enumerate(predict_gram(grams, targets, splits, 8, solver, device)):
        alone = predict_gram(grams[1], targets, splits, 8, solver)[index]
        np.testing.assert_allclose(part[1], alone, rtol=0, atol=1e-7)


def test_a_constant_layer_among_others_is_nan_alone(rng):
    X, Y = simulate(rng, 80, 150, 4)
    splits = random_splits(rng, 80)
    grams = np.stack([gram_of(X), np.zeros((80, 80)), gram_of(X[:, :100])])
    with pytest.warns(DegenerateWarning, match="in 3 of 9 splits"):
        r = score_gram(grams, Y, splits, 5)
    assert np.isnan(r[1]).all() and np.isfinite(r[[0, 2]]).all()


def test_tensors_give_the_same(rng):
    X, Y = simulate(rng, 80, 40, 3)
    splits = random_splits(rng, 80)
    found = score_neuroids(torch.as_tensor(X), torch.as_tensor(Y), splits, 5)
    np.testing.assert_array_equal(found, score_neuroids(X, Y, splits, 5))


@CUDA
@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
@pytest.mark.parametrize("units", UNITS)
def test_a_gpu_gives_the_same(rng, units, solver):
    X, Y = simulate(rng, 80, units, 30)
    splits = random_splits(rng, 80)
    expected = score_neuroids(X, Y, splits, 10, solver=solver)
    found = score_neuroids(X, Y, splits, 10, solver=solver, device="cuda")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    if solver == "exact":
        np.testing.assert_allclose(score_gram(gram_of(X), Y, splits, 10, device="cuda"), expected, rtol=0, atol=1e-8)


@CUDA
def test_a_gpu_that_squares_no_matrix_gives_the_same(rng, monkeypatch):
    """As with more than 512 targets."""
    monkeypatch.setattr(eigen, "SQUARED", 0)
    X, Y = simulate(rng, 160, 300, 100)
    splits = random_splits(rng, 160)
    expected = score_neuroids(X, Y, splits, 20)
    np.testing.assert_allclose(score_gram(gram_of(X), Y, splits, 20, device="cuda"), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("units", UNITS)
def test_the_validation_part_of_a_split_is_not_looked_at(rng, units):
    X, Y = simulate(rng, 80, units, 3)
    (whole,) = random_splits(rng, 80, n_splits=1)
    split = Split(whole.train[5:], whole.test, whole.train[:5])
    expected = plain_r(loop_predictions(X, Y, [split], 6), Y, [split])
    X[split.validation], Y[split.validation] = 1e3, np.nan
    np.testing.assert_allclose(score_neuroids(X, Y, [split], 6), expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(score_gram(gram_of(X), Y, [split], 6), expected, rtol=0, atol=1e-7)
