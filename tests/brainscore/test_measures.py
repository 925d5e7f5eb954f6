"""Ridge regression, CKA and RSA against Brain-Score's own classes, from the Gram matrix of the same random patterns."""

from pathlib import Path

import numpy as np
import pytest
import torch

from layerwise.interfaces import Split
from layerwise.regression import ALPHAS, PatternProducts, Reference, distances, linear_cka, score_ridge

TRAIN, N_STIMULI = 90, 120


@pytest.fixture(scope="module")
def compared(brainscore, tmp_path_factory):
    rng = np.random.default_rng(18)
    latent = rng.normal(size=(N_STIMULI, 9))
    units = latent @ rng.normal(size=(9, 400)) + rng.normal(2, 2, size=(N_STIMULI, 400))
    responses = latent @ rng.normal(size=(9, 14)) + rng.normal(1, 3, size=(N_STIMULI, 14))
    file = tmp_path_factory.mktemp("measures") / "compared.npz"
    np.savez(file, units=units, responses=responses, train=TRAIN)
    done = brainscore(Path(__file__).with_name("measures.py"), file)
    assert done.returncode == 0, done.stderr
    return units, responses, dict(np.load(file))


@pytest.mark.parametrize("name", ["ridge", "ridgecv"])
def test_ridge_on_given_parts(compared, name):
    units, responses, theirs = compared
    np.testing.assert_array_equal(ALPHAS, theirs["alphas"])
    gram = (units - units.mean(0)) @ (units - units.mean(0)).T
    split = Split(np.arange(TRAIN), np.arange(TRAIN, N_STIMULI))
    r, alphas = score_ridge(gram, responses, [split], ALPHAS if name == "ridgecv" else [1.0], gram=True)
    np.testing.assert_allclose(r[0], theirs[name], rtol=1e-10, atol=1e-10)
    if name == "ridgecv":
        assert alphas[0] == theirs["alpha"]


def test_representations(compared):
    units, responses, theirs = compared
    layer, region = (PatternProducts.of(torch.as_tensor(values)) for values in (units, responses))
    alike = [linear_cka(layer.gram, region.gram, debiased) for debiased in (False, True)]
    np.testing.assert_allclose(alike, theirs["cka"], rtol=1e-10)
    found = Reference.of(distances(region, "correlation")).similarity(distances(layer, "correlation"))
    assert found == pytest.approx(theirs["rdm"], rel=1e-10)
