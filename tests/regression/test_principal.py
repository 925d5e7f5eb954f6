"""Principal components from Gram matrices against scikit-learn on the activations."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA

from layerwise.regression import make_splits, pearson, reduce_gram, reduce_units, score_neuroids

N_STIMULI, N_FITTED = 50, 70


def draw(rng, n_units):
    """Activations with a steep spectrum, far from zero, of stimuli and of images to fit on."""
    latent = rng.standard_normal((N_STIMULI + N_FITTED, 90)) * np.geomspace(1, 1e-3, 90)
    return latent @ rng.standard_normal((90, n_units)) + 5 * rng.standard_normal(n_units)


def gram(values):
    centred = values - values.mean(axis=0)
    return centred @ centred.T


def oracle(values, n_components):
    pca = PCA(n_components, svd_solver="full").fit(values[N_STIMULI:])
    return pca.transform(values[:N_STIMULI])


@pytest.mark.parametrize("n_units", [30, 100, 400])
@pytest.mark.parametrize("n_components", [1, 8, 25])
def test_scores_are_those_of_scikit_learn_up_to_sign(rng, n_units, n_components):
    values = draw(rng, n_units)
    expected = oracle(values, n_components)
    for found in (reduce_units(values, N_FITTED, n_components), reduce_gram(gram(values), N_FITTED, n_components)):
        signs = np.sign((found * expected).sum(axis=0))
        np.testing.assert_allclose(found * signs, expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("n_units", [60, 400])
def test_r_is_that_of_scikit_learn_from_activations_to_pca_to_pls(rng, n_units):
    values = draw(rng, n_units)
    responses = values[:N_STIMULI, :20] @ rng.standard_normal((20, 6)) + rng.standard_normal((N_STIMULI, 6))
    splits, expected = make_splits(N_STIMULI, n_splits=4), oracle(values, 40)
    found = score_neuroids(reduce_gram(gram(values), N_FITTED, 40), responses, splits, 10, solver="scikit-learn")
    for r, split in zip(found, splits, strict=True):
        fit = PLSRegression(10, scale=False).fit(expected[split.train], responses[split.train])
        predictions = fit.predict(expected[split.test])
        np.testing.assert_allclose(r, pearson(predictions, responses[split.test]), atol=1e-8)


def test_a_layer_with_no_more_units_than_components_is_not_reduced(rng):
    values = draw(rng, 30)
    np.testing.assert_array_equal(reduce_units(values, N_FITTED, 30), values[:N_STIMULI])


@pytest.mark.parametrize(
    "reduce",
    [lambda values: reduce_gram(gram(values), N_FITTED, 20), lambda values: reduce_units(values, N_FITTED, 20)],
)
def test_directions_in_which_the_fitted_images_do_not_vary_are_left_out(rng, reduce):
    values = draw(rng, 100)
    values[N_STIMULI:] = rng.standard_normal((N_FITTED, 5)) @ rng.standard_normal((5, 100)) + 3
    found = reduce(values)
    expected = oracle(values, 5)
    np.testing.assert_allclose(np.abs(found[:, :5]), np.abs(expected), atol=1e-9 * np.abs(expected).max())
    assert found.shape == (N_STIMULI, 20)
    assert not found[:, 5:].any()
    values[N_STIMULI:] = 1 / 3
    assert not reduce(values).any()


def test_as_many_images_as_components_are_too_few(rng):
    values = draw(rng, 30)
    for reduce, array in ((reduce_units, values), (reduce_gram, gram(values))):
        with pytest.raises(ValueError, match=r"70 principal components .* 70 images .* more images than components"):
            reduce(array, N_FITTED, N_FITTED)
