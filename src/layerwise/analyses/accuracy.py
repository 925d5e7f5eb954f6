"""ImageNet accuracy of a network: the check that weights, labels and preprocessing belong together."""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerwise.interfaces import LayerSpec, Preprocessing, Progress, no_progress
from layerwise.models.labelled import CLASSES
from layerwise.passes.halving import BatchSize
from layerwise.passes.images import Images
from layerwise.passes.runner import PLAIN, Runner

TOLERANCE = 0.5  # percentage points: decoders and resizes differ by less, wrong preprocessing by more
ENOUGH = 2000  # images; of fewer, chance alone moves top1 by more than two points, and the comparison says little

# The network as a whole, as the one layer that is looked at.
NETWORK = LayerSpec("", "", (CLASSES,), CLASSES, 1)

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
        Images at once; halved, with a log message, whenever the device runs out of memory.
    device : str
        Where to compute.
    progress : Progress
        Shows how far it has come, image by image.

    Raises
    ------
    ValueError
        There are no images, or the network gives another number of scores.
    """
    if not images:
        raise ValueError("no images to measure accuracy on")
    gate = _Gate(network.to(device), images, preprocessing, read, torch.device(device))
    steps = BatchSize(min(batch_size, len(images))).run(gate.run)
    for _ in progress(steps, "accuracy", len(images)):
        pass
    top1, top5 = 100 * gate.right / len(images)
    return Accuracy(float(top1), float(top5), len(images), published)


@dataclass
class _Photographs:
    """Labelled images, read one by one as a network is shown them."""

    images: Sequence[tuple[Path, int]]
    reader: Reader

    def __len__(self) -> int:
        return len(self.images)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        return np.stack([self.reader(path) for path, _ in self.images[start:stop]])


@dataclass
class _Gate:
    """Counts how often a network is right; a batch that does not fit the device is halved, and what is done stays."""

    network: nn.Module
    images: Sequence[tuple[Path, int]]
    preprocessing: Preprocessing
    read: Reader
    device: torch.device
    done: int = 0  # images
    right: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))  # in the first, the first five
    _first: int = 0  # image of the batch at hand

    def run(self, batch_size: int) -> Generator[int]:
        """Run the images that are not done, and yield the number of each that is."""
        images = Images(_Photographs(self.images, self.read), self.device)
        data = [NETWORK], images, self.preprocessing, batch_size
        runner = Runner(self.network, *data, PLAIN, start=self.done)
        for image in runner.run(self._compare, before=self._begin, check=_require_scores):
            self.done = image + 1
            yield image

    def _begin(self, first: int) -> None:
        self._first = first

    def _compare(self, _index: int, scores: torch.Tensor) -> None:
        labels = [label for _, label in self.images[self._first : self._first + len(scores)]]
        hits = (scores.topk(5).indices == torch.tensor(labels, device=scores.device)[:, None]).cpu().numpy()
        self.right += hits[:, 0].sum(), hits.any(1).sum()


def _require_scores(_index: int, output: Any) -> None:
    shape = tuple(output.shape[1:]) if isinstance(output, torch.Tensor) else type(output).__name__
    if shape != (CLASSES,):
        raise ValueError(f"the network gives {shape} scores an image, not {CLASSES}")
