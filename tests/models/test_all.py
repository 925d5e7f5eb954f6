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
    build_empty,
    find_classifiers,
    geometry_for,
    normalise,
    registry,
    replace_head,
)
from layerwise.models.adapters import ADAPTERS

PHOTOGRAPHS = 2


@pytest.mark.parametrize("name", registry.names())
def test_facts_of_a_network(name):
    network, row = build_empty(name), registry.find(name)
    size = row.preprocessing.size
    assert not any(module.training for module in network.modules())
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert sum(parameter.numel() for parameter in network.parameters()) == row.parameters

    classifier = find_classifiers(network, ModelSpec(name, row.library, row.constructor, weights="random"), size)
    with PenultimateTap(network, classifier) as tap:
        layers = leave_out(list_layers(network, size), row.later_modules)
    assert tap.output.shape[1:] == (row.penultimate_dim,)
    told = f"`layerwise models manifest {name}` lists them anew"
    assert read_manifest(shipped_manifest(name)) == layers, told
    assert len(layers) == row.layers

    with torch.inference_mode():
        assert replace_head(network, classifier)(torch.zeros(2, 3, size, size, device="meta")).shape == (2, 1)


def ours(pixels, preprocessing, kind, canvas=1):
    square = apply_geometry(pixels, geometry_for(preprocessing, kind, canvas))
    return normalise(torch.from_numpy(square.copy())[None], preprocessing)[0] / preprocessing.maximum


@pytest.mark.parametrize("name", registry.names())
def test_preprocessing_is_that_of_the_library(name, photographs, rng):
    row = registry.find(name)
    transform = ADAPTERS[row.library].transform(row.constructor)
    for picture in (*photographs[:2], rng.integers(0, 256, (290, 277, 3), dtype=np.uint8)):
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


# A network for each way in which the 64 want their input.
INPUTS = {registry.find(name).preprocessing: name for name in registry.names()}


@pytest.mark.parametrize("canvas", [1, 2])
@pytest.mark.parametrize("name", INPUTS.values())
def test_whole_photograph_is_squeezed_into_the_square_for_neural_stimuli(name, canvas, photographs):
    """As by Brain-Score's loader for PyTorch: torchvision's Resize to both sides, with its default filter."""
    preprocessing = registry.find(name).preprocessing
    resize = transforms.Resize((preprocessing.size, preprocessing.size))
    for picture in photographs:
        height, width, _ = picture.shape
        screen = Image.new("RGB", (canvas * width, canvas * height), (128, 128, 128))
        corner = np.rint((np.array(screen.size) - (width, height)) / 2)
        screen.paste(Image.fromarray(picture), tuple(corner.astype(int)))
        values = np.asarray(resize(screen), np.float64) / 255 * preprocessing.maximum
        if preprocessing.channels == "BGR":
            values = values[..., ::-1]
        expected = (values - preprocessing.mean) / preprocessing.std / preprocessing.maximum
        found = ours(picture, preprocessing, "square", canvas).permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
