"""What a network sees of a stimulus, against the functions with which Brain-Score loads it for PyTorch."""

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from layerwise.data.images import load_square
from layerwise.models import geometry_for, normalise, registry

HELPERS = "brainscore_vision.model_helpers"
# A network for each way in which those that want red first, from 0 to 1, want their input.
NETWORKS = {
    row.preprocessing: row.name for row in map(registry.find, registry.names()) if row.preprocessing.maximum == 1
}


@pytest.fixture
def loader(brainscore_package, monkeypatch):
    """Brain-Score's module. Its environment has no torchvision, so it runs here, without what it imports of its own."""
    for name, part in ((f"{HELPERS}.activations.core", "ActivationsExtractorHelper"), (f"{HELPERS}.utils", "fullname")):
        stub = ModuleType(name)
        setattr(stub, part, None)
        monkeypatch.setitem(sys.modules, name, stub)
    path = brainscore_package / "model_helpers" / "activations" / "pytorch.py"
    spec = importlib.util.spec_from_file_location("brainscore_pytorch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NETWORKS.values())
def test_a_stimulus_is_resized_as_by_brain_score(name, loader, photographs, rng, tmp_path):
    expected = registry.find(name).preprocessing
    pictures = [*photographs[:2], rng.integers(0, 256, (320, 320, 3), dtype=np.uint8)]
    for index, picture in enumerate(pictures):
        path = tmp_path / f"{index}.png"
        Image.fromarray(picture).save(path)
        (theirs,) = loader.load_preprocess_images(
            [path], expected.size, normalize_mean=expected.mean, normalize_std=expected.std
        )
        pixels = torch.from_numpy(load_square(path, geometry_for(expected, "square")).copy())
        ours = normalise(pixels[None], expected)[0]
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=1e-6)
