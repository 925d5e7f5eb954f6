import numpy as np
import pytest
import torch
from ikpls.numpy import PLS as IKPLS
from regression_oracles import nipals_free, simulate
from sklearn.cross_decomposition import PLSRegression

from layerwise.interfaces import DegenerateWarning
from layerwise.regression import PLS

SIZES = [(60, 40, 12), (60, 200, 12), (60, 40, 1), (60, 200, 1), (60, 15, 40), (40, 200, 70), (60, 60, 80)]


@pytest.mark.parametrize(("n", "units", "targets"), SIZES)
def test_exact_equals_singular_vectors_with_plain_deflation(rng, n, units, targets):
    X, Y = simulate(rng, n, units, targets)
    new = simulate(rng, 20, units, targets)[0]
    expected = (new - X.mean(0)) @ nipals_free(X, Y, 10) + Y.mean(0)
    np.testing.assert_allclose(PLS(10).fit(X, Y).predict(new), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("algorithm", [1, 2])
@pytest.mark.parametrize(("n", "units", "targets"), SIZES[:4])
def test_exact_equals_ikpls(rng, n, units, targets, algorithm):
    X, Y = simulate(rng, n, units, targets)
    peer = IKPLS(algorithm=algorithm, scale_X=False, scale_Y=False)
    peer.fit(X, Y, 12)
    expected = peer.predict(X[:15], n_components=12).reshape(15, targets)
    np.testing.assert_allclose(PLS(12).fit(X, Y).predict(X[:15]), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("n", "units", "targets"), SIZES)
def test_scikit_learn_mode_equals_scikit_learn(rng, n, units, targets):
    X, Y = simulate(rng, n, units, targets)
    expected = PLSRegression(10, scale=False).fit(X, Y).predict(X).reshape(n, targets)
    np.testing.assert_allclose(PLS(10, solver="scikit-learn").fit(X, Y).predict(X), expected, rtol=0, atol=1e-11)


def test_a_target_that_starts_constant_is_not_the_start_of_the_iterations(rng):
    X, Y = simulate(rng, 50, 30, 6)
    Y[:, 0] = 2.5
    expected = PLSRegression(8, scale=False).fit(X, Y).predict(X)
    np.testing.assert_allclose(PLS(8, solver="scikit-learn").fit(X, Y).predict(X), expected, rtol=0, atol=1e-11)


@pytest.mark.filterwarnings("ignore:y residual is constant")
def test_scikit_learn_mode_stops_where_the_residual_is_constant(rng):
    X = np.linalg.qr(rng.standard_normal((40, 10)) - 0.0)[0]
    X -= X.mean(0)
    X = np.linalg.qr(X)[0]
    Y = 3 * X[:, :1]
    expected = PLSRegression(5, scale=False).fit(X, Y).predict(X).reshape(-1, 1)
    found = PLS(5, solver="scikit-learn").fit(X, Y).predict(X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("units", [30, 90])
@pytest.mark.parametrize("rank", [1, 6])
def test_an_exhausted_rank_leaves_the_least_squares_fit(rng, units, rank):
    X = rng.standard_normal((50, rank)) @ rng.standard_normal((rank, units))
    Y = rng.standard_normal((50, 4))
    centred = X - X.mean(0)
    expected = centred @ np.linalg.lstsq(centred, Y - Y.mean(0), rcond=1e-10)[0] + Y.mean(0)
    np.testing.assert_allclose(PLS(rank).fit(X, Y).predict(X), expected, rtol=0, atol=1e-8)
    with pytest.warns(DegenerateWarning, match=rf"fewer than {rank + 10} components \(at least {rank}\)"):
        model = PLS(rank + 10).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("units", [30, 90])
def test_targets_without_noise_are_followed_until_nothing_is_left(rng, units):
    X = rng.standard_normal((50, units))
    Y = X[:, :2] @ rng.standard_normal((2, 3))
    expected = (X - X.mean(0)) @ nipals_free(X, Y, 28) + Y.mean(0)
    np.testing.assert_allclose(PLS(28).fit(X, Y).predict(X), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(PLS(30).fit(X[:, :30], Y).predict(X[:, :30]), Y, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("error")  # nothing was left to be found
def test_one_target_without_noise_is_fitted_and_then_left_alone(rng):
    X = rng.standard_normal((80, 30)) / np.arange(1, 31)
    Y = X[:, :2] @ rng.standard_normal((2, 1))
    np.testing.assert_allclose(PLS(30).fit(X, Y).predict(X), Y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
@pytest.mark.parametrize("units", [30, 90])
def test_constant_activations_predict_the_mean(rng, units, solver):
    Y = rng.standard_normal((50, 3))
    found = PLS(5, solver=solver).fit(np.full((50, units), 0.1), Y).predict(np.full((4, units), 0.1))
    np.testing.assert_allclose(found, np.broadcast_to(Y.mean(0), (4, 3)), rtol=0, atol=1e-12)


def outweighed(rng, units, targets, factor):
    """Activations of 90 and of 20 new stimuli in which one unit is larger than all others; targets; scikit-learn's."""
    (X, Y), new = simulate(rng, 90, units, targets), simulate(rng, 20, units, targets)[0]
    for activations in (X, new):
        activations[:, 3] *= factor
    peer = PLSRegression(20, scale=False, tol=1e-14, max_iter=20000).fit(X, Y)
    return X, Y, new, peer.predict(new).reshape(20, targets)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("targets", [1, 6])
@pytest.mark.parametrize("units", [30, 90])
@pytest.mark.parametrize("factor", [1e6, 3e6, 1e7])
def test_one_unit_that_outweighs_all_others_hides_none_of_them(rng, units, targets, factor):
    """In float64, scikit-learn keeps what the others add: so does a fit that is refined to rounding."""
    X, Y, new, expected = outweighed(rng, units, targets, factor)
    np.testing.assert_allclose(PLS(20).fit(X, Y).predict(new), expected, rtol=0, atol=1e-3 * expected.std())


@pytest.mark.parametrize("units", [30, 90])
def test_past_1e8_the_last_components_may_be_rounding_and_nothing_is_lost_with_them(rng, units):
    """One fit in ten has 18 or 19 components there, and predicts as scikit-learn with all 20."""
    X, Y, new, expected = outweighed(rng, units, 1, 1e8)
    np.testing.assert_allclose(PLS(20).fit(X, Y).predict(new), expected, rtol=0, atol=1e-2 * expected.std())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
@pytest.mark.parametrize(("units", "targets"), [(30, 1), (30, 5), (90, 5)])
@pytest.mark.parametrize("exponents", [(0, -25), (0, 25), (-25, 0), (25, 0), (-150, 150), (-300, -300), (290, 290)])
def test_the_size_of_activations_and_targets_does_not_matter(rng, units, targets, solver, exponents):
    """Fits are the same in any unit of measurement, though squares and limits of float64 are not."""
    (X, Y), (x, y) = simulate(rng, 50, units, targets), (10.0**exponent for exponent in exponents)
    expected = PLS(8, solver=solver).fit(X, Y).predict(X)
    found = PLS(8, solver=solver).fit(X * x, Y * y).predict(X * x) / y
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 if solver == "exact" else 1e-3)


@pytest.mark.parametrize("units", [30, 90])
def test_a_large_offset_costs_few_digits(rng, units):
    X, Y = simulate(rng, 50, units, 4)
    expected = PLS(8).fit(X, Y).predict(X)
    np.testing.assert_allclose(PLS(8).fit(X + 1e4, Y - 1e4).predict(X + 1e4) + 1e4, expected, rtol=0, atol=1e-6)


def test_tensors_and_single_precision_and_one_dimension_are_taken(rng):
    X, Y = (part.astype(np.float32) for part in simulate(rng, 50, 30, 1))
    expected = PLS(5).fit(X.astype(float), Y.astype(float)).predict(X.astype(float))
    for found in (
        PLS(5).fit(torch.as_tensor(X), torch.as_tensor(Y)).predict(torch.as_tensor(X)),
        PLS(5).fit(X, Y[:, 0]).predict(X),
    ):
        assert isinstance(found, np.ndarray) and found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_the_data_given_stay_as_they_are(rng):
    X, Y = simulate(rng, 50, 30, 3)
    before = X.copy(), Y.copy()
    for solver in ("exact", "scikit-learn"):
        PLS(5, solver=solver).fit(X, Y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(Y, before[1])


def _repeat(n_components, X, Y):
    return PLS(n_components, solver="scikit-learn").fit(X, Y).predict(X)


def bad(X, position, value):
    X = X.copy()
    X[position] = value
    return X


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        (PLS(31), lambda X, Y: (X, Y), "30 units.*31 components"),
        (PLS(25), lambda X, Y: (X[:20], Y[:20]), "20 training stimuli.*25 components"),
        (PLS(0), lambda X, Y: (X, Y), "at least 1"),
        (PLS(5, solver="exakt"), lambda X, Y: (X, Y), "did you mean 'exact'"),
        (PLS(5), lambda X, Y: (bad(X, (3, 4), np.nan), Y), "1 of 30 units have NaN or infinite"),
        (PLS(5), lambda X, Y: (bad(X, (0, 4), np.inf), Y), "1 of 30 units have NaN or infinite"),
        (PLS(5), lambda X, Y: (X, bad(Y, (3, 1), np.nan)), "1 of 3 targets have NaN"),
        (PLS(5), lambda X, Y: (X, Y[1:]), "X has 50 stimuli and Y has 49"),
        (PLS(5), lambda X, Y: (X[None], Y), "X has shape"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_plain_words(rng, model, change, message):
    with pytest.raises(ValueError, match=message):
        model.fit(*change(*simulate(rng, 50, 30, 3)))


def test_predicting_too_early_or_other_units_is_refused(rng):
    X, Y = simulate(rng, 50, 30, 3)
    with pytest.raises(ValueError, match="fit"):
        PLS(5).predict(X)
    with pytest.raises(ValueError, match="29 units, but the fit had 30"):
        PLS(5).fit(X, Y).predict(X[:, 1:])


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_gpu_that_is_not_here_is_refused(rng):
    with pytest.raises(ValueError, match="no GPU here"):
        PLS(5, device="cuda").fit(*simulate(rng, 50, 30, 3))
