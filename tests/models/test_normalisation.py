import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import Compose, Normalize, ToTensor

from layerwise.interfaces import Preprocessing
from layerwise.models import normalise

USUAL = Preprocessing(224, 256, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE = Preprocessing(224, 256, "bilinear", (104, 117, 128), (1, 1, 1), "BGR", 255)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_equals_the_transforms_of_torchvision(seed, height, width):
    pixels = np.random.default_rng(seed).integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    transform = Compose([ToTensor(), Normalize(USUAL.mean, USUAL.std)])
    expected = torch.stack([transform(Image.fromarray(image)) for image in pixels])
    found = normalise(torch.from_numpy(pixels), USUAL)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_reversed_channels_of_full_range(rng):
    pixels = rng.integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    expected = pixels[..., ::-1].astype(np.float64) - np.array(CAFFE.mean)
    found = normalise(torch.from_numpy(pixels), CAFFE)
    np.testing.assert_allclose(found.permute(0, 2, 3, 1).numpy(), expected, atol=1e-4)


def test_pixels_stay_as_they_are(rng):
    pixels = torch.from_numpy(rng.integers(0, 256, (1, 3, 3, 3), dtype=np.uint8))
    before = pixels.clone()
    normalise(pixels, USUAL)
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, 8, 8, 3)])
def test_other_arrays_are_refused(wrong):
    with pytest.raises(ValueError, match="pixels must be uint8"):
        normalise(wrong, USUAL)
