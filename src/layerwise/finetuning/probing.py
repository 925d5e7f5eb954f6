"""Trying a network on crops of a few images before it is trained on all."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from math import isclose

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerwise.finetuning.crops import centre_crops
from layerwise.finetuning.networks import predict_scores
from layerwise.interfaces import LayerSpec, Pixels, Preprocessing
from layerwise.models import normalise, replace_head
from layerwise.models.seeds import seeded
from layerwise.passes.probe import probe_network

TOLERANCE = 1e-3  # of a score that follows its head
log = logging.getLogger(__name__)


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


def probe_head(
    network: nn.Module, classifiers: Sequence[str], pixels: Pixels, expected: Preprocessing, device: str
) -> None:
    """Refuse a network whose score does not follow its head of one unit; warn where it is no linear function of that.

    A softmax of one number is 1 whatever the number is, so that nothing would be learnt; a ReLU clips it, and a sigmoid
    squeezes it. Parameters are those of `probe_classifiers`.

    Raises
    ------
    ValueError
        It does not, or the network gives no score for each image.
    """
    with seeded(0):
        trained = replace_head(deepcopy(network), classifiers, 1).eval()
    heads = [trained.get_submodule(name) for name in classifiers]
    inputs = normalise(torch.from_numpy(CentreCrops(pixels, expected.size).read(0, 1)), expected).to(device)
    below, zero, one, three = (_score(trained, heads, inputs, value) for value in (-3, 0, 1, 3))
    name = ", ".join(classifiers)
    if isclose(one, zero, abs_tol=TOLERANCE):
        raise ValueError(
            f"the network gives the score {zero:g} whatever {name} gives, so that nothing can be learnt: a softmax or "
            "the like follows it, of which one unit has no use; let the network return what its classifier gives"
        )
    slope = one - zero
    if not all(isclose(value, 3 * slope, rel_tol=TOLERANCE) for value in (three - zero, zero - below)):
        log.warning(
            "the network's score is no linear function of what %s gives: an activation that follows it may clip or "
            "squeeze scores; let the network return what its classifier gives",
            name,
        )


def _score(network: nn.Module, heads: Sequence[nn.Module], inputs: torch.Tensor, value: float) -> float:
    """Return the score of an image where heads give a value."""
    with torch.no_grad():
        for head in heads:
            for parameter, wanted in zip(head.parameters(), (0.0, value), strict=True):  # weight and bias
                parameter.fill_(wanted)
        return float(predict_scores(network, inputs)[0])
