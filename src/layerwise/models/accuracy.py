"""ImageNet accuracy of a network: the check that weights, labels and preprocessing belong together."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerwise.interfaces import Preprocessing, Progress, no_progress
from layerwise.models.labelled import CLASSES
from layerwise.models.normalisation import normalise

TOLERANCE = 0.5  # percentage points: decoders and resizes differ by less, wrong preprocessing by more
ENOUGH = 2000  # images; of fewer, chance alone moves top1 by more than two points, and the comparison says little

Reader = Callable[[Path], NDArray[np.uint8]]


@dataclass(frozen=True)
class Accuracy:
    """How often a network is right.

    Parameters
    ----------
    top1, top5 : float
        Images whose class has the highest, or one of the five highest scores, per cent.
    n_images : int
        Images.
    published : float or None
        top1 that the library publishes, per cent.
    """

    top1: float
    top5: float
    n_images: int
    published: float | None = None

    @property
    def passed(self) -> bool | None:
        """Whether top1 is the published one, within `TOLERANCE` and the chance of so many images.

        None: nothing is published, or there are fewer than `ENOUGH` images to tell. The allowance for chance is two
        standard errors, so that a part of the validation set can be used.
        """
        if self.published is None or self.n_images < ENOUGH:
            return None
        rate = self.published / 100
        chance = 2 * 100 * math.sqrt(rate * (1 - rate) / self.n_images)
        return abs(self.top1 - self.published) <= TOLERANCE + chance


def measure_accuracy(
    network: nn.Module,
    images: Sequence[tuple[Path, int]],
    preprocessing: Preprocessing,
    read: Reader,
    published: float | None = None,
    batch_size: int = 32,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Accuracy:
    """Count how often a network is right about labelled images.

    Parameters
    ----------
    network : nn.Module
        In eval mode, with 1000 outputs.
    images : sequence of (path, class)
        From `read_labelled`.
    preprocessing : Preprocessing
        The network's own.
    read : callable
        Returns the pixels uint8 [size, size, 3] of an image as the network is shown it.
    published : float, optional
        Accuracy to compare with, per cent.
    batch_size : int
        Images at once.
    device : str
        Where to compute.
    progress : Progress
        Shows how far it has come.

    Raises
    ------
    ValueError
        There are no images, or the network gives another number of scores.
    """
    if not images:
        raise ValueError("no images to measure accuracy on")
    network = network.to(device)
    right1 = right5 = 0
    batches = list(_batches(images, batch_size))
    for batch in progress(batches, "accuracy", len(batches)):
        pixels = torch.from_numpy(np.stack([read(path) for path, _ in batch])).to(device)
        classes = torch.tensor([label for _, label in batch], device=device)
        with torch.inference_mode():
            best = _best(network(normalise(pixels, preprocessing)))
        hits = best == classes[:, None]
        right1 += int(hits[:, 0].sum())
        right5 += int(hits.any(1).sum())
    return Accuracy(100 * right1 / len(images), 100 * right5 / len(images), len(images), published)


def _best(scores: torch.Tensor) -> torch.Tensor:
    if scores.ndim != 2 or scores.shape[1] != CLASSES:
        raise ValueError(f"the network gives {tuple(scores.shape[1:])} scores an image, not {CLASSES}")
    return scores.topk(5).indices


def _batches(images: Sequence[tuple[Path, int]], size: int) -> Iterator[Sequence[tuple[Path, int]]]:
    return (images[start : start + size] for start in range(0, len(images), size))
