"""Trying a network on crops of a few images before it is trained on all."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from layerwise.finetuning.crops import centre_crops
from layerwise.interfaces import LayerSpec, Pixels, Preprocessing
from layerwise.passes.probe import probe_network


class CentreCrops:
    """Pixels as a network sees them when it predicts.

    Parameters
    ----------
    pixels : Pixels
        At least as large as its input.
    size : int
        Side of its input.
    """

    def __init__(self, pixels: Pixels, size: int) -> None:
        self._pixels, self._size = pixels, size
        self.ids, self.content_hash = pixels.ids, pixels.content_hash

    def __len__(self) -> int:
        return len(self._pixels)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return images, uint8 [image, size, size, 3]."""
        images = self._pixels.read(start, stop)
        crop = centre_crops(1, images.shape[1], images.shape[2], self._size)
        top, left = int(crop.top[0]), int(crop.left[0])
        return images[:, top : top + self._size, left : left + self._size]


def probe_classifiers(
    network: nn.Module, classifiers: Sequence[str], pixels: Pixels, expected: Preprocessing, device: str
) -> None:
    """Refuse a network whose scores for an image depend on anything but the image, in eval mode.

    Parameters
    ----------
    network : nn.Module
        Moved to `device`, and set to eval mode.
    classifiers : sequence of str
        Dotted names of what gives its scores.
    pixels : Pixels
        Of the images to train on; the first are tried, and noise.
    expected : Preprocessing
        Of the network.
    device : str
        "cpu" or "cuda".

    Raises
    ------
    ValueError
        They do, or the network raises something.
    """
    layers = [LayerSpec(name, type(network.get_submodule(name)).__name__, (1,), 1, 1) for name in classifiers]
    probe_network(network, layers, CentreCrops(pixels, expected.size), expected, device)
