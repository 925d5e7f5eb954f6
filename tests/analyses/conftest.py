"""A small cache of activations, written as extraction writes it."""

import numpy as np
import pytest

from layerwise.activations.parts import Part
from layerwise.activations.store import ActivationStore, write_store
from layerwise.interfaces import LayerSpec

N_STIMULI = 60


@pytest.fixture
def stimuli():
    return tuple(f"image{index:02d}" for index in range(N_STIMULI))


@pytest.fixture
def activations(rng):
    """A small layer, one with more units than stimuli, and a constant one: {LayerSpec: array [stimulus, unit]}."""
    latent = rng.standard_normal((N_STIMULI, 8))
    small = latent @ rng.standard_normal((8, 40)) + rng.standard_normal((N_STIMULI, 40))
    large = latent @ rng.standard_normal((8, 300)) + rng.standard_normal((N_STIMULI, 300))
    return {
        LayerSpec("small", "Linear", (40,), 40, 1): small.astype(np.float32),
        LayerSpec("large", "Conv2d", (3, 10, 10), 300, 2): large.astype(np.float32),
        LayerSpec("constant", "ReLU", (30,), 30, 3): np.ones((N_STIMULI, 30), dtype=np.float32),
    }


@pytest.fixture
def fill_store(tmp_path, stimuli):
    """Write activations {LayerSpec: array [stimulus, unit]} as extraction does, and open them."""

    def fill(activations, name="activations.h5", **others):
        attributes = (
            dict.fromkeys(("weights", "preprocessing", "stimuli", "code"), "hash") | {"model": "network"} | others
        )
        with write_store(tmp_path / name, list(activations), stimuli, attributes) as writer:
            for layer, values in activations.items():
                if layer.units <= N_STIMULI:
                    writer.put_activations(Part(layer, 0, layer.units), values)
                else:
                    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
                    patterns = values.sum(1, np.float64), values @ values.mean(0, np.float64)
                    writer.put_gram(
                        layer, np.concatenate([(centred @ centred.T)[np.triu_indices(N_STIMULI)], *patterns])
                    )
        return ActivationStore(tmp_path / name, "network")

    return fill


@pytest.fixture
def store(fill_store, activations):
    return fill_store(activations)
