import numpy as np
import torch

from layerwise.activations import resident
from layerwise.activations.resident import load_all


def test_all_images_come_once_and_in_order(draw, monkeypatch):
    monkeypatch.setattr(resident, "LOADED_AT_ONCE", 4)
    images = draw(10, size=8)
    loaded = load_all(images, torch.device("cpu"))
    assert loaded.dtype == torch.uint8
    np.testing.assert_array_equal(loaded.numpy(), images.array)
    assert images.reads == [(0, 1), (0, 4), (4, 8), (8, 10)]  # the first tells the size
