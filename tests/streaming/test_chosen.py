"""Containers, pooled outputs and tokens that a user chose, exact and quick, beside plain hooks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from layerwise.activations import ActivationStore, extract_activations
from layerwise.interfaces import LayerChoice, RatedImages
from layerwise.layers import survey_layers
from layerwise.layers.blocks import distinct
from layerwise.models.normalisation import normalise
from layerwise.regression import predict_neuroids
from layerwise.sketching import Sketched, sketch_pls
from layerwise.streaming import Streamed, stream_pls

SIZE = 24
ATTRIBUTES = {"model": "mine", "weights": "a", "code": "b", "preprocessing": "c", "stimuli": "d"}


class Patches(nn.Module):
    """A stem of convolutions, and blocks over the tokens of 16 patches and a class."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 6, stride=6), nn.BatchNorm2d(32), nn.ReLU(inplace=True))
        self.cls_token = nn.Parameter(torch.randn(1, 1, 32))
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(32, 2, 40, batch_first=True) for _ in range(2)))
        self.drop = nn.Dropout()

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return self.drop(self.blocks(torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)))


CHOICE = LayerChoice(("stem", "stem.*", "blocks.*", "drop"), tokens="mean", pooling="mean")


@pytest.fixture
def chosen(rng):
    torch.manual_seed(int(rng.integers(2**31)))
    network = Patches().eval()
    return network, distinct(survey_layers(network, SIZE, choice=CHOICE).layers)


def plain(network, layers, images, preprocessing):
    """The same values by hooks of our own, in float64."""
    found, network = {}, network.double()
    for name in [layer.name for layer in layers]:
        module = network.get_submodule(name)
        module.register_forward_hook(lambda _, __, output, name=name: found.update({name: output.clone()}))
    with torch.no_grad():
        network(normalise(torch.from_numpy(images.array), preprocessing).double())
    for name in found:
        found[name] = found[name].mean((2, 3)) if name.startswith("stem") else found[name][:, 1:].mean(1)
    return found


def test_chosen_layers_are_fitted_and_kept(chosen, study, preprocessing, tmp_path):
    network, layers = chosen
    # `stem` is its ReLU, changed no more; `drop` is the last block.
    assert [layer.name for layer in layers] == ["stem.0", "stem.1", "stem.2", "blocks.0", "blocks.1"]
    images, scores, splits = study()
    rated = RatedImages(images, preprocessing, scores, splits)
    how = Streamed(dtype=torch.float64, tf32=False, n_components=10)
    exact = stream_pls(network, layers, layers, rated, how, ATTRIBUTES)
    network.float()
    quick = sketch_pls(network, layers, rated, Sketched(n_components=10, dimensions=256), ATTRIBUTES)
    extract_activations(network, layers, images, preprocessing, tmp_path / "a.h5", 10**9, ATTRIBUTES)
    expected, store = plain(network, layers, images, preprocessing), ActivationStore(tmp_path / "a.h5", "mine")
    assert store.layers == layers
    targets = np.nan_to_num(scores)[:, :, None]
    for index, layer in enumerate(layers):
        values = expected[layer.name]
        assert values.shape == (len(images), layer.units)
        kept = store.read(layer.name)
        assert kept.kind == "activations"
        np.testing.assert_allclose(kept.array, values.numpy(), rtol=0, atol=1e-5 * float(values.abs().max()))
        for number, (part, split) in enumerate(zip(predict_neuroids(values, targets, splits, 10), splits, strict=True)):
            # Pixels are normalised in float32 on both sides; the fit is in float64.
            assert np.abs(exact[index, split.test, number] - part[:, 0]).max() < 1e-8 * part.std()
            assert np.corrcoef(quick[index, split.test, number], part[:, 0])[0, 1] > 0.999


def test_another_reduction_of_the_same_size_is_another_layer(chosen, study, preprocessing):
    network, layers = chosen
    images, scores, splits = study()
    rated = RatedImages(images, preprocessing, scores, splits)
    how = Streamed(dtype=torch.float64, tf32=False, n_components=3)
    block = [layer for layer in layers if layer.name == "blocks.1"]
    mean = stream_pls(network, block, block, rated, how, ATTRIBUTES)
    first = [replace(block[0], reduced="token 0")]
    assert np.abs(stream_pls(network, first, first, rated, how, ATTRIBUTES) - mean).max() > 1e-3 * mean.std()
