"""What is known of each network, checked on networks without values; `make test-models` runs them for real."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from layerwise.data.images import apply_geometry, load_image
from layerwise.interfaces import ModelSpec
from layerwise.layers import leave_out, list_layers, read_manifest, shipped_manifest
from layerwise.models import (
    PenultimateTap,
    find_classifier,
    geometry_for,
    normalise,
    registry,
    replace_head,
    sketch,
)
from layerwise.models.adapters import ADAPTERS

PHOTOGRAPHS = 2


@pytest.mark.parametrize("name", registry.names())
def test_facts_of_a_network(name):
    network, row = sketch(name), registry.find(name)
    size = row.preprocessing.size
    assert not any(module.training for module in network.modules())
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert sum(parameter.numel() for parameter in network.parameters()) == row.parameters

    classifier = find_classifier(network, ModelSpec(name, row.library, row.constructor, weights="random"), size)
    with PenultimateTap(network, classifier) as tap:
        layers = leave_out(list_layers(network, size), row.later_modules)
    assert tap.output.shape == (2, row.penultimate_dim)
    told = f"`layerwise models manifest {name}` lists them anew"
    assert read_manifest(shipped_manifest(name)) == layers, told
    assert len(layers) == row.layers

    with torch.inference_mode():
        assert replace_head(network, classifier)(torch.zeros(2, 3, size, size, device="meta")).shape == (2, 1)


def ours(pixels, preprocessing, kind):
    square = apply_geometry(pixels, geometry_for(preprocessing, kind))
    return normalise(torch.from_numpy(square.copy())[None], preprocessing)[0] / preprocessing.maximum


@pytest.mark.parametrize("name", registry.names())
def test_preprocessing_is_that_of_the_library(name, rng):
    row = registry.find(name)
    transform = ADAPTERS[row.library].transform(row.constructor)
    for shape in ((400, 531, 3), (290, 277, 3)):
        picture = rng.integers(0, 256, shape, dtype=np.uint8)
        expected = transform(Image.fromarray(picture)) / row.preprocessing.maximum
        torch.testing.assert_close(ours(picture, row.preprocessing, "crop"), expected, rtol=0, atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("name", registry.names())
def test_preprocessing_of_photographs_is_that_of_the_library(name, shared, rng):
    row = registry.find(name)
    transform = ADAPTERS[row.library].transform(row.constructor)
    photographs = sorted(shared("data", "figrim60", "images").glob("*.jpg"))
    for path in rng.choice(photographs, PHOTOGRAPHS, replace=False):
        expected = transform(Image.open(path).convert("RGB")) / row.preprocessing.maximum
        found = ours(load_image(path), row.preprocessing, "crop")
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["alexnet", "nasnetalarge", "efficientnet_b4", "bninception"])
def test_whole_image_is_squeezed_into_the_square_for_neural_stimuli(name, rng):
    preprocessing = registry.find(name).preprocessing
    filters = {mode.value: mode for mode in transforms.InterpolationMode}
    size = (preprocessing.size, preprocessing.size)
    picture = rng.integers(0, 256, (200, 320, 3), dtype=np.uint8)
    resized = transforms.Resize(size, filters[preprocessing.interpolation])(Image.fromarray(picture))
    values = np.asarray(resized, np.float64) / 255 * preprocessing.maximum
    if preprocessing.channels == "BGR":
        values = values[..., ::-1]
    expected = (values - preprocessing.mean) / preprocessing.std / preprocessing.maximum
    found = ours(picture, preprocessing, "square").permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
