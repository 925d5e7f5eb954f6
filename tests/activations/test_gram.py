import numpy as np
import pytest
import torch

from layerwise.activations.gram import BLOCK, add_gram
from layerwise.activations.packing import unpack
from layerwise.regression import make_splits, score_gram


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return request.param


def direct(activations):
    centred = activations - activations.mean(axis=0)
    return centred @ centred.T


@pytest.mark.parametrize("units", [1, 30, BLOCK, BLOCK + 1, 3 * BLOCK - 5])
@pytest.mark.parametrize("offset", [0, 100])
def test_equals_the_centred_product(rng, units, offset, device):
    activations = (rng.normal(size=(50, units)) + offset * rng.normal(size=units)).astype(np.float32)
    total = torch.zeros(50, 50, dtype=torch.float64, device=device)
    add_gram(total, torch.from_numpy(activations.copy()).to(device))
    expected = np.triu(direct(activations.astype(np.float64)))
    np.testing.assert_allclose(
        np.triu(total.cpu().numpy()), expected, atol=2e-6 * (1 + offset / 10) * expected.diagonal().max()
    )


def test_slices_sum_to_the_whole(rng, device):
    activations = torch.from_numpy(rng.normal(size=(40, 5000)).astype(np.float32)).to(device)
    whole, parts = torch.zeros(2, 40, 40, dtype=torch.float64, device=device)
    add_gram(whole, activations.clone())
    for piece in torch.tensor_split(activations, [1, 700, 2500, 4999], dim=1):
        add_gram(parts, piece.clone())
    torch.testing.assert_close(parts.triu(), whole.triu(), rtol=0, atol=1e-6 * float(whole.diagonal().max()))


def test_patterns_tell_the_products_of_what_is_not_centred(rng, device):
    activations = rng.normal(2, 3, size=(40, 2 * BLOCK + 9)).astype(np.float32)
    total, patterns = (torch.zeros(rows, 40, dtype=torch.float64, device=device) for rows in (40, 2))
    for piece in np.array_split(activations, 3, axis=1):
        add_gram(total, torch.from_numpy(piece.copy()).to(device), patterns)
    sums, products = patterns.cpu().numpy()
    gram = np.triu(total.cpu().numpy())
    gram = gram + np.triu(gram, 1).T
    exact = activations.astype(np.float64)
    np.testing.assert_allclose(sums, exact.sum(1), rtol=1e-12)
    raw = gram + products + products[:, None] - products.mean()
    np.testing.assert_allclose(raw, exact @ exact.T, rtol=1e-12, atol=1e-12 * np.diag(exact @ exact.T).max())


def test_patterns_of_images_that_are_there_twice_are_the_same_to_the_bit(rng, device):
    activations = rng.normal(100, 1, size=(40, BLOCK + 77)).astype(np.float32)
    activations[23:] = activations[:17]
    total, patterns = (torch.zeros(rows, 40, dtype=torch.float64, device=device) for rows in (40, 2))
    add_gram(total, torch.from_numpy(activations).to(device), patterns)
    assert torch.equal(patterns[:, 23:], patterns[:, :17])


def test_constant_units_leave_nothing(rng, device):
    activations = torch.from_numpy(np.repeat(rng.normal(size=(1, 300)), 20, axis=0).astype(np.float32)).to(device)
    total = torch.zeros(20, 20, dtype=torch.float64, device=device)
    add_gram(total, activations)
    assert float(total.abs().max()) < 1e-10


@pytest.mark.parametrize("decay", [0.3, 0.5, 0.7, 1.0])
def test_small_components_of_a_layer_are_not_lost(rng, decay):
    """Low rank (decay 1) and steep spectra: float32 anywhere would leave 25 latent variables to rounding."""
    latent = rng.normal(size=(120, 8 if decay == 1 else 60))
    sizes = decay ** np.arange(latent.shape[1])
    activations = ((latent * sizes) @ rng.normal(size=(latent.shape[1], 400))).astype(np.float32)
    responses = latent[:, :8] @ rng.normal(size=(8, 10)) + rng.normal(size=(120, 10))
    total = torch.zeros(120, 120, dtype=torch.float64)
    add_gram(total, torch.from_numpy(activations.copy()))
    gram = unpack(total.numpy()[np.triu_indices(120)], 120)
    splits, centred = make_splits(120), activations - activations.mean(0, dtype=np.float64)
    expected = score_gram(centred @ centred.T, responses, splits)
    np.testing.assert_allclose(
        np.median(score_gram(gram, responses, splits), 1).mean(), np.median(expected, 1).mean(), atol=1e-3
    )
